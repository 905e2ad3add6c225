//! Groups that share a subscription: each message goes to one member, of each node.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use polywire_core::{
    Channel, ClientId, ConnectionId, Identity, Origin, Refusal, Space,
    delivery::{Fanout, Receiver},
    space::Attachment,
};
use rand::seq::IndexedRandom;

use crate::{
    client::Client,
    session::NAME,
    subscription::{Filter, Wish},
};

/// The groups of this node, by name and filter.
#[derive(Default)]
pub(crate) struct Groups(tokio::sync::Mutex<HashMap<(String, Channel), Group>>);

struct Group {
    members: Arc<Members>,
    /// Dropped with the group.
    _attachment: Attachment,
}

struct Member {
    id: ConnectionId,
    client: Weak<Client>,
    wish: Wish,
}

struct Members {
    connection: ConnectionId,
    members: Mutex<Vec<Member>>,
}

impl Groups {
    /// Adds a member; the first one of a group begins it.
    pub(crate) async fn join(
        &self,
        space: &Arc<Space>,
        name: &str,
        filter: &Filter,
        client: &Arc<Client>,
        wish: Wish,
    ) -> Result<(), Refusal> {
        let mut groups = self.0.lock().await;
        let key = (name.to_owned(), filter.written().clone());
        if !groups.contains_key(&key) {
            let members = Arc::new(Members {
                connection: ConnectionId::next(space.hub().node()),
                members: Mutex::default(),
            });
            let origin = Origin::new(NAME, Identity::anybody());
            let mut attachment = space.attach(origin, members.clone());
            match filter.clone() {
                Filter::Channel(channel) => attachment.subscribe(channel).await?,
                Filter::Pattern(written, pattern) => {
                    attachment.subscribe_pattern(written, pattern).await?
                }
            };
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
        let member = Member {
            id,
            client: Arc::downgrade(client),
            wish,
        };
        match members.iter_mut().find(|member| member.id == id) {
            Some(known) => *known = member,
            None => members.push(member),
        }
        Ok(())
    }

    /// Removes a member; the last one ends its group.
    pub(crate) async fn leave(&self, name: &str, filter: &Filter, member: ConnectionId) {
        let mut groups = self.0.lock().await;
        let key = (name.to_owned(), filter.written().clone());
        let Some(group) = groups.get(&key) else {
            return;
        };
        let is_empty = {
            let mut members = group.members.members.lock();
            members.retain(|known| known.id != member);
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
                .and_then(|member| Some((member.client.upgrade()?, member.wish)))
        };
        if let Some((client, wish)) = chosen {
            client.deliver_shared(fanout, wish);
        }
    }
}
