//! Shared subscriptions: each message goes to one member of a group, on whatever node it is.
//!
//! All nodes know all members, in one order, and choose by the time of the message, which is the same everywhere:
//! so they choose the same member, and need not ask each other.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::{Mutex, RwLock};
use polywire_core::{
    Channel, ClientId, ConnectionId, Identity, Kind, Origin, Publication, Refusal, Space,
    delivery::{Fanout, Receiver},
    space::{Attachment, MemberOwner},
};

use crate::{
    codec::filter::{Filter, SubscriptionOptions},
    delivery::subscriber::Subscriber,
    settings::NAME,
};

/// The groups that have members on this node, by the channel on which their members are present.
#[derive(Default)]
pub(crate) struct SharedSubscriptions(Mutex<HashMap<Channel, Arc<ShareGroup>>>);

/// A client that shares a subscription.
#[derive(Clone)]
pub(crate) struct GroupMember {
    pub(crate) subscriber: Weak<Subscriber>,
    /// How it wants what comes.
    pub(crate) options: SubscriptionOptions,
}

/// A group, with a lock of its own: it is held while the backend is asked, and no other group waits for that.
#[derive(Default)]
struct ShareGroup(tokio::sync::Mutex<GroupState>);

#[derive(Default)]
enum GroupState {
    #[default]
    New,
    Open {
        members: Arc<GroupMembers>,
        /// Dropped with the group.
        _attachment: Attachment,
    },
    /// Its last member has left: whoever comes begins another one.
    Closed,
}

struct GroupMembers {
    connection: ConnectionId,
    space: Weak<Space>,
    /// Where they are present.
    channel: Channel,
    /// Of this node.
    here: RwLock<HashMap<ClientId, GroupMember>>,
    /// Of all nodes, in the order of their ids.
    everywhere: RwLock<Vec<ClientId>>,
}

/// Where the members of a group are present.
fn presence_channel(name: &str, filter: &Filter) -> Option<Channel> {
    Channel::new(&format!("$share/{name}/{}", filter.written())).ok()
}

impl SharedSubscriptions {
    /// Adds a member; the first one of a group on this node begins it here.
    ///
    /// # Errors
    /// When the group cannot be begun here.
    pub(crate) async fn join(
        &self,
        space: &Arc<Space>,
        name: &str,
        filter: &Filter,
        id: &ClientId,
        member: GroupMember,
    ) -> Result<(), Refusal> {
        let Some(channel) = presence_channel(name, filter) else {
            return Ok(());
        };
        let is_new = loop {
            let group = self.0.lock().entry(channel.clone()).or_default().clone();
            // Whoever comes meanwhile waits until the group is open.
            let mut state = group.0.lock().await;
            if let GroupState::New = *state {
                match GroupState::open(space, channel.clone(), filter).await {
                    Ok(open) => *state = open,
                    Err(refusal) => {
                        *state = GroupState::Closed;
                        self.remove(&channel, &group);
                        return Err(refusal);
                    }
                }
            }
            if let GroupState::Open { members, .. } = &*state {
                break members.here.write().insert(id.clone(), member).is_none();
            }
        };
        if is_new {
            // The nodes that have members are told.
            // A connection has no more of them than channels.
            space
                .enter(&channel, id, None, &MemberOwner::default())
                .await;
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
        let Some(channel) = presence_channel(name, filter) else {
            return;
        };
        let group = self.0.lock().get(&channel).cloned();
        let Some(group) = group else {
            return;
        };
        {
            let mut state = group.0.lock().await;
            let GroupState::Open { members, .. } = &*state else {
                return;
            };
            let is_empty = {
                let mut here = members.here.write();
                if here.remove(id).is_none() {
                    return;
                }
                here.is_empty()
            };
            if is_empty {
                *state = GroupState::Closed;
                self.remove(&channel, &group);
            }
        }
        space.exit(&channel, id).await;
    }

    /// Forgets a group that was closed, under its lock: who finds it before that sees that it is.
    fn remove(&self, channel: &Channel, group: &Arc<ShareGroup>) {
        let mut groups = self.0.lock();
        if groups
            .get(channel)
            .is_some_and(|held| Arc::ptr_eq(held, group))
        {
            groups.remove(channel);
        }
    }
}

impl GroupState {
    async fn open(space: &Arc<Space>, channel: Channel, filter: &Filter) -> Result<Self, Refusal> {
        let members = Arc::new(GroupMembers {
            connection: ConnectionId::next(space.hub().node()),
            space: Arc::downgrade(space),
            channel: channel.clone(),
            here: RwLock::default(),
            everywhere: RwLock::default(),
        });
        // Each member was allowed it, and ends with its rights.
        let origin = Origin::new(NAME, Arc::<Identity>::default());
        let mut attachment = space.attach(origin, members.clone());
        attachment.join(channel).await;
        filter.clone().join(&mut attachment).await?;
        Ok(Self::Open {
            members,
            _attachment: attachment,
        })
    }
}

impl GroupMembers {
    /// Somebody came or went, here or elsewhere.
    fn refresh_members(&self) {
        if let Some(space) = self.space.upgrade() {
            let members = space.presence().members(&self.channel).into_iter();
            *self.everywhere.write() = members.map(|member| member.client).collect();
        }
    }

    /// The member that gets a message, if it is on this node.
    fn chosen(&self, publication: &Publication) -> Option<(Arc<Subscriber>, SubscriptionOptions)> {
        let everywhere = self.everywhere.read();
        let count = u64::try_from(everywhere.len()).ok()?;
        let index = scatter(publication.position().timetoken.0).checked_rem(count)?;
        let chosen = everywhere.get(usize::try_from(index).ok()?)?;
        let here = self.here.read();
        let member = here.get(chosen)?;
        Some((member.subscriber.upgrade()?, member.options))
    }
}

/// A number that looks random, the same for the same time (the finalizer of SplitMix64).
fn scatter(time: u64) -> u64 {
    let time = (time ^ (time >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let time = (time ^ (time >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    time ^ (time >> 31)
}

impl Receiver for GroupMembers {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        if let Kind::Presence(_) = publication.kind {
            if publication.target.channel() == Some(&self.channel) {
                self.refresh_members();
            }
            return;
        }
        if let Some((subscriber, options)) = self.chosen(publication) {
            subscriber.deliver_shared(fanout, options);
        }
    }
}
