//! What can be done with connections by services, wherever the connections are.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    connection::Connection,
    control::{Audience, Whose},
    names::HubName,
    nodes::Unanswered,
    rights::Right,
    state::State,
};

/// Something to do with connections, on every node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Operation {
    /// Only looks whether there are any.
    Find { whose: Whose },
    /// They join groups.
    Join {
        whose: Whose,
        audience: Audience,
        groups: Vec<String>,
    },
    /// They leave groups; all of them when none is named.
    Leave {
        whose: Whose,
        audience: Audience,
        groups: Vec<String>,
    },
    /// They are closed.
    Close {
        whose: Whose,
        audience: Audience,
        reason: Option<String>,
    },
    /// One gets a right on a group, or on all, loses it, or is asked for it.
    Permission {
        connection: String,
        change: Change,
        right: Right,
        group: Option<String>,
    },
    /// The members of a group, in the order of their ids.
    List {
        group: String,
        after: Option<String>,
        count_max: usize,
    },
}

/// What is done with a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Change {
    Grant,
    Revoke,
    Check,
}

/// What became of an operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outcome {
    /// Connections that were meant.
    pub(crate) found: usize,
    /// The connection has the right.
    pub(crate) is_allowed: bool,
    /// Who was listed, and one more than fits a page where there are more.
    pub(crate) members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Member {
    pub(crate) connection_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) user_id: Option<String>,
}

impl Operation {
    /// True when it is about one connection: nobody is asked once it was found.
    pub(crate) fn is_about_one(&self) -> bool {
        match self {
            // One connection of a group or user is as good as another.
            Self::Find { .. } | Self::Permission { .. } => true,
            Self::Join { whose, .. } | Self::Leave { whose, .. } | Self::Close { whose, .. } => {
                matches!(whose, Whose::Connection(_))
            }
            Self::List { .. } => false,
        }
    }
}

impl Outcome {
    /// Adds what became of it on another node.
    pub(crate) fn add(&mut self, other: Self) {
        self.found += other.found;
        self.is_allowed |= other.is_allowed;
        self.members.extend(other.members);
    }
}

impl State {
    /// Does it on every node.
    pub(crate) async fn everywhere(
        self: &Arc<Self>,
        hub: &HubName,
        operation: Operation,
    ) -> Result<Outcome, Unanswered> {
        let mut outcome = self.perform(hub, &operation).await;
        if operation.is_about_one() && outcome.found > 0 {
            return Ok(outcome);
        }
        let count_max = match &operation {
            Operation::List { count_max, .. } => *count_max,
            _ => 0,
        };
        outcome.add(self.nodes.ask(hub, operation).await?);
        let id = |member: &Member| member.connection_id.clone();
        outcome.members.sort_by_cached_key(id);
        outcome.members.truncate(count_max);
        Ok(outcome)
    }

    /// Does it on this node.
    pub(crate) async fn perform(self: &Arc<Self>, hub: &HubName, operation: &Operation) -> Outcome {
        match operation {
            Operation::Find { whose } => found(self.those(hub, whose).len()),
            Operation::Join {
                whose,
                audience,
                groups,
            } => {
                let mut joined = 0;
                for connection in self.meant(hub, whose, audience) {
                    let mut all = true;
                    for group in groups {
                        all &= self.join(&connection, group).await;
                    }
                    joined += usize::from(all);
                }
                found(joined)
            }
            Operation::Leave {
                whose,
                audience,
                groups,
            } => {
                let meant = self.meant(hub, whose, audience);
                for connection in &meant {
                    let all: Vec<String> = match groups.is_empty() {
                        true => connection.groups.lock().iter().cloned().collect(),
                        false => groups.clone(),
                    };
                    for group in &all {
                        self.leave(connection, group).await;
                    }
                }
                found(meant.len())
            }
            Operation::Close {
                whose,
                audience,
                reason,
            } => {
                let meant = self.meant(hub, whose, audience);
                let said = reason.clone().unwrap_or_default();
                for connection in &meant {
                    self.close(connection, &said).await;
                }
                found(meant.len())
            }
            Operation::Permission {
                connection,
                change,
                right,
                group,
            } => {
                let Some(connection) = self.find(hub, connection) else {
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
                let mut all = self.those(hub, &Whose::Group(group.clone()));
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

    fn meant(&self, hub: &HubName, whose: &Whose, audience: &Audience) -> Vec<Arc<Connection>> {
        let mut those = self.those(hub, whose);
        those.retain(|connection| connection.is_among(audience));
        those
    }
}

fn found(count: usize) -> Outcome {
    Outcome {
        found: count,
        ..Outcome::default()
    }
}
