//! Share groups: each message goes to one member.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use polywire_core::{
    ClientId, ConnectionId, Identity, Origin, Refusal, Space,
    delivery::{Fanout, Receiver},
    space::Attachment,
};
use rand::seq::IndexedRandom;

use super::service::{pattern, written};
use crate::{client::Client, session::NAME};

/// The groups of this node, by name and path.
#[derive(Default)]
pub(crate) struct Groups(tokio::sync::Mutex<HashMap<(String, String), Group>>);

struct Group {
    members: Arc<Members>,
    /// Dropped with the group.
    _attachment: Attachment,
}

struct Members {
    connection: ConnectionId,
    members: Mutex<Vec<(ConnectionId, Weak<Client>)>>,
}

impl Groups {
    /// Adds a member; the first one of a group begins it.
    pub(crate) async fn join(
        &self,
        space: &Arc<Space>,
        name: &str,
        path: &str,
        client: &Arc<Client>,
    ) -> Result<(), Refusal> {
        let mut groups = self.0.lock().await;
        let key = (name.to_owned(), path.to_owned());
        if !groups.contains_key(&key) {
            let members = Arc::new(Members {
                connection: ConnectionId::next(space.hub().node()),
                members: Mutex::default(),
            });
            let origin = Origin::new(NAME, Identity::anybody());
            let mut attachment = space.attach(origin, members.clone());
            if let (Some(written), Some(pattern)) = (written(path), pattern(path)) {
                attachment.subscribe_pattern(written, pattern).await?;
            }
            let group = Group {
                members,
                _attachment: attachment,
            };
            groups.insert(key.clone(), group);
        }
        let Some(group) = groups.get(&key) else {
            return Ok(());
        };
        let mut members = group.members.members.lock();
        let id = client.connection();
        if members.iter().all(|(member, _)| *member != id) {
            members.push((id, Arc::downgrade(client)));
        }
        Ok(())
    }

    /// Removes a member; the last one ends its group.
    pub(crate) async fn leave(&self, name: &str, path: &str, member: ConnectionId) {
        let mut groups = self.0.lock().await;
        let key = (name.to_owned(), path.to_owned());
        let Some(group) = groups.get(&key) else {
            return;
        };
        let is_empty = {
            let mut members = group.members.members.lock();
            members.retain(|(id, _)| *id != member);
            members.is_empty()
        };
        if is_empty {
            groups.remove(&key);
        }
    }
}

impl Receiver for Members {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let chosen = {
            let members = self.members.lock();
            members
                .choose(&mut rand::rng())
                .and_then(|(_, client)| client.upgrade())
        };
        if let Some(client) = chosen {
            client.deliver_shared(fanout);
        }
    }
}
