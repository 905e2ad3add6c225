//! Share groups: each message goes to one member, on whatever node it is.
//!
//! All nodes know all members, in one order, and choose by the time of the message, which is the same everywhere:
//! so they choose the same member, and need not ask each other.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::RwLock;
use polywire_core::{
    Channel, ClientId, ConnectionId, Identity, Kind, Origin, PresenceAction, Publication, Refusal,
    Space,
    delivery::{Fanout, Receiver},
    space::Attachment,
};

use super::{
    service::{Service, pattern, written},
    who::Who,
};
use crate::{client::Client, session::NAME};

/// The groups that have members on this node, by the channel on which their members are present.
#[derive(Default)]
pub(crate) struct Groups(tokio::sync::Mutex<HashMap<Channel, Group>>);

struct Group {
    members: Arc<Members>,
    /// Dropped with the group.
    _attachment: Attachment,
}

struct Members {
    connection: ConnectionId,
    space: Weak<Space>,
    place: Channel,
    /// Of this node.
    here: RwLock<HashMap<ClientId, Weak<Client>>>,
    /// Of all nodes, in the order of their ids.
    everywhere: RwLock<Vec<ClientId>>,
}

/// Where the members of a group are present.
fn place(name: &str, path: &str) -> Option<Channel> {
    Channel::new(&format!("$share/{name}/{path}")).ok()
}

impl Service {
    /// Adds a member; the first one of a group on this node begins it here.
    pub(super) async fn join_group(
        &self,
        name: &str,
        path: &str,
        who: &Who,
        client: &Arc<Client>,
    ) -> Result<(), Refusal> {
        let Some(place) = place(name, path) else {
            return Ok(());
        };
        {
            // Whoever comes meanwhile waits until the group is open.
            let mut groups = self.groups.0.lock().await;
            if !groups.contains_key(&place) {
                let group = Group::open(&self.space, place.clone(), path).await?;
                groups.insert(place.clone(), group);
            }
            if let Some(group) = groups.get(&place) {
                let mut here = group.members.here.write();
                here.insert(who.id.clone(), Arc::downgrade(client));
            }
        }
        self.space.presence().join(&place, &who.id);
        self.tell(PresenceAction::Join, &place, who).await;
        Ok(())
    }

    /// Removes a member; the last one of a group on this node ends it here.
    pub(super) async fn leave_group(&self, name: &str, path: &str, who: &Who) {
        let Some(place) = place(name, path) else {
            return;
        };
        {
            let mut groups = self.groups.0.lock().await;
            let is_empty = groups.get(&place).is_some_and(|group| {
                let mut here = group.members.here.write();
                here.remove(&who.id);
                here.is_empty()
            });
            if is_empty {
                groups.remove(&place);
            }
        }
        self.space.presence().leave(&place, &who.id);
        self.tell(PresenceAction::Leave, &place, who).await;
    }
}

impl Group {
    async fn open(space: &Arc<Space>, place: Channel, path: &str) -> Result<Self, Refusal> {
        let members = Arc::new(Members {
            connection: ConnectionId::next(space.hub().node()),
            space: Arc::downgrade(space),
            place: place.clone(),
            here: RwLock::default(),
            everywhere: RwLock::default(),
        });
        let origin = Origin::new(NAME, Identity::anybody());
        let mut attachment = space.attach(origin, members.clone());
        attachment.join(place).await;
        if let (Some(written), Some(pattern)) = (written(path), pattern(path)) {
            attachment.subscribe_pattern(written, pattern).await?;
        }
        Ok(Self {
            members,
            _attachment: attachment,
        })
    }
}

impl Members {
    /// Somebody came or went, here or elsewhere.
    fn look_again(&self) {
        if let Some(space) = self.space.upgrade() {
            let members = space.presence().members(&self.place).into_iter();
            *self.everywhere.write() = members.map(|member| member.client).collect();
        }
    }

    /// The member that gets a message, if it is on this node.
    fn chosen(&self, publication: &Publication) -> Option<Arc<Client>> {
        let everywhere = self.everywhere.read();
        let count = u64::try_from(everywhere.len()).ok()?;
        let index = scatter(publication.position().timetoken.0).checked_rem(count)?;
        let chosen = everywhere.get(usize::try_from(index).ok()?)?;
        self.here.read().get(chosen)?.upgrade()
    }
}

/// A number that looks random, the same for the same time (the finalizer of SplitMix64).
fn scatter(time: u64) -> u64 {
    let time = (time ^ (time >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let time = (time ^ (time >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    time ^ (time >> 31)
}

impl Receiver for Members {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        if let Kind::Presence(_) = publication.kind {
            if publication.target.channel() == Some(&self.place) {
                self.look_again();
            }
            return;
        }
        if let Some(client) = self.chosen(publication) {
            client.deliver_shared(fanout);
        }
    }
}
