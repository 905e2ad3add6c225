//! Groups that share a subscription: each message goes to one member, on whatever node it is.
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

use crate::{
    client::Client,
    shared::NAME,
    subscription::{Filter, Wish},
};

/// The groups that have members on this node, by the channel on which their members are present.
#[derive(Default)]
pub(crate) struct Groups(tokio::sync::Mutex<HashMap<Channel, Group>>);

/// A client that shares a subscription.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) client: Weak<Client>,
    /// How it wants what comes.
    pub(crate) wish: Wish,
}

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
    here: RwLock<HashMap<ClientId, Member>>,
    /// Of all nodes, in the order of their ids.
    everywhere: RwLock<Vec<ClientId>>,
}

/// Where the members of a group are present.
fn place(name: &str, filter: &Filter) -> Option<Channel> {
    Channel::new(&format!("$share/{name}/{}", filter.written())).ok()
}

impl Groups {
    /// Adds a member; the first one of a group on this node begins it here.
    pub(crate) async fn join(
        &self,
        space: &Arc<Space>,
        name: &str,
        filter: &Filter,
        id: &ClientId,
        member: Member,
    ) -> Result<(), Refusal> {
        let Some(place) = place(name, filter) else {
            return Ok(());
        };
        let is_new = {
            // Whoever comes meanwhile waits until the group is open.
            let mut groups = self.0.lock().await;
            if !groups.contains_key(&place) {
                let group = Group::open(space, place.clone(), filter).await?;
                groups.insert(place.clone(), group);
            }
            let known = groups
                .get(&place)
                .and_then(|group| group.members.here.write().insert(id.clone(), member));
            known.is_none()
        };
        if is_new {
            space.presence().join(&place, id);
            tell(space, PresenceAction::Join, &place, id).await;
        }
        Ok(())
    }

    /// Removes a member; the last one of a group on this node ends it here.
    pub(crate) async fn leave(
        &self,
        space: &Arc<Space>,
        name: &str,
        filter: &Filter,
        id: &ClientId,
    ) {
        let Some(place) = place(name, filter) else {
            return;
        };
        {
            let mut groups = self.0.lock().await;
            let Some(group) = groups.get(&place) else {
                return;
            };
            let is_empty = {
                let mut here = group.members.here.write();
                if here.remove(id).is_none() {
                    return;
                }
                here.is_empty()
            };
            if is_empty {
                groups.remove(&place);
            }
        }
        space.presence().leave(&place, id);
        tell(space, PresenceAction::Leave, &place, id).await;
    }
}

/// Tells the nodes that have members.
async fn tell(space: &Space, action: PresenceAction, place: &Channel, id: &ClientId) {
    let event = space.presence_event(action, place, id);
    space.announce(place, event, None).await;
}

impl Group {
    async fn open(space: &Arc<Space>, place: Channel, filter: &Filter) -> Result<Self, Refusal> {
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
        filter.clone().subscribe(&mut attachment).await?;
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
    fn chosen(&self, publication: &Publication) -> Option<(Arc<Client>, Wish)> {
        let everywhere = self.everywhere.read();
        let count = u64::try_from(everywhere.len()).ok()?;
        let index = scatter(publication.position().timetoken.0).checked_rem(count)?;
        let chosen = everywhere.get(usize::try_from(index).ok()?)?;
        let here = self.here.read();
        let member = here.get(chosen)?;
        Some((member.client.upgrade()?, member.wish))
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
        if let Some((client, wish)) = self.chosen(publication) {
            client.deliver_shared(fanout, wish);
        }
    }
}
