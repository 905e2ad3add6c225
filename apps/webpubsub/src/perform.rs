//! Execution of operations on this node, for its own services and for other nodes that ask.

use std::sync::Arc;

use crate::{
    connection::Connection,
    local_connections::LocalConnections,
    names::HubName,
    operation::{Change, Member, Operation, Outcome},
    recipients::{Audience, Recipients},
};

impl LocalConnections {
    /// Does it on this node.
    pub(crate) async fn perform(&self, hub: &HubName, operation: &Operation) -> Outcome {
        match operation {
            Operation::Find { recipients } => found(self.index.select(hub, recipients).len()),
            Operation::Join {
                recipients,
                audience,
                groups,
            } => {
                let mut joined = 0;
                for connection in self.meant(hub, recipients, audience) {
                    let mut all = true;
                    for group in groups {
                        all &= self.join(&connection, group).await;
                    }
                    joined += usize::from(all);
                }
                found(joined)
            }
            Operation::Leave {
                recipients,
                audience,
                groups,
            } => {
                let meant = self.meant(hub, recipients, audience);
                for connection in &meant {
                    let all: Vec<String> = if groups.is_empty() {
                        connection.groups.lock().iter().cloned().collect()
                    } else {
                        groups.clone()
                    };
                    for group in &all {
                        self.leave(connection, group).await;
                    }
                }
                found(meant.len())
            }
            Operation::Close {
                recipients,
                audience,
                reason,
            } => {
                let meant = self.meant(hub, recipients, audience);
                let reason = reason.clone().unwrap_or_default();
                for connection in &meant {
                    self.close(connection, &reason).await;
                }
                found(meant.len())
            }
            Operation::Permission {
                connection,
                change,
                right,
                group,
            } => {
                let Some(connection) = self.index.find(hub, connection) else {
                    return Outcome::default();
                };
                let mut rights = connection.rights.lock();
                let group = group.as_deref();
                match change {
                    Change::Grant => rights.grant(*right, group),
                    Change::Revoke => rights.revoke(*right, group),
                    Change::Check => {}
                }
                Outcome {
                    is_allowed: rights.has(*right, group),
                    ..found(1)
                }
            }
            Operation::List {
                group,
                after,
                count_max,
            } => {
                let mut all = self.index.select(hub, &Recipients::Group(group.clone()));
                if let Some(after) = after {
                    all.retain(|connection| connection.id > *after);
                }
                all.truncate(*count_max);
                let member = |connection: &Arc<Connection>| Member {
                    connection_id: connection.id.clone(),
                    user_id: connection.user.clone(),
                };
                Outcome {
                    members: all.iter().map(member).collect(),
                    ..found(all.len())
                }
            }
        }
    }

    fn meant(
        &self,
        hub: &HubName,
        recipients: &Recipients,
        audience: &Audience,
    ) -> Vec<Arc<Connection>> {
        let mut meant = self.index.select(hub, recipients);
        meant.retain(|connection| connection.is_among(audience));
        meant
    }
}

fn found(count: usize) -> Outcome {
    Outcome {
        found: count,
        ..Outcome::default()
    }
}
