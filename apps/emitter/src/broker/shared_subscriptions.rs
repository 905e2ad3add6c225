//! Shared subscriptions: each message goes to one member of a group, on whatever node it is.
//!
//! All nodes know all members, in one order, and choose by the time of the message, which is the same everywhere:
//! so they choose the same member, and need not ask each other. What a member leaves behind that is gone is published to
//! the group once more, on the channel on which its members are present.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use bytes::BytesMut;
use parking_lot::{Mutex, RwLock};
use polywire_core::{
    Channel, ClientId, ConnectionId, Draft, Identity, JsonText, Origin, Payload, Publication,
    Refusal, Retention, Space, decode_draft,
    delivery::{Fanout, Receiver},
    encode_draft,
    space::{Attachment, MemberOwner},
};
use serde::{Deserialize, Serialize};

use super::retained::published;
use crate::{
    codec::filter::{Filter, SubscriptionOptions},
    delivery::{redelivery::Redeliver, subscriber::Subscriber},
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

/// What a message on the channel of a group is: the members get what is in it. No client can say so.
#[derive(Serialize, Deserialize)]
struct RedeliveryProperties {
    /// The member that was to get it.
    mqtt_redelivery_of: String,
}

struct GroupMembers {
    own: Weak<Self>,
    connection: ConnectionId,
    space: Weak<Space>,
    /// Where they are present.
    channel: Channel,
    /// Of this node.
    here: RwLock<HashMap<ClientId, GroupMember>>,
    /// Of all nodes, in the order of their ids.
    everywhere: RwLock<Vec<ClientId>>,
}

/// Where the members of a group are present, and nobody else can be.
fn presence_channel(name: &str, filter: &Filter) -> Channel {
    Channel::reserved(&format!("mqtt/share/{name}/{}", filter.written()))
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
        let channel = presence_channel(name, filter);
        let (members, is_new) = loop {
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
                let is_new = members.here.write().insert(id.clone(), member).is_none();
                break (members.clone(), is_new);
            }
        };
        if is_new {
            // The nodes that have members are told.
            // A connection has no more of them than channels.
            space
                .enter(&channel, id, None, &MemberOwner::default())
                .await;
            // Who was a member on another node before is no news, nor are those that were there before the group was here.
            members.refresh_members();
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
        let channel = presence_channel(name, filter);
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
        let members = Arc::new_cyclic(|own| GroupMembers {
            own: own.clone(),
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

    /// Delivers what a member left behind that is gone.
    fn deliver_again(&self, message: &Publication, gone: &str) {
        let (Some(space), Some(group)) = (self.space.upgrade(), self.own.upgrade()) else {
            return;
        };
        if let Some((subscriber, options)) = self.chosen(message, Some(gone)) {
            let flusher = space.hub().flusher();
            let mut dirty = Vec::new();
            let mut fanout = Fanout::new(message, flusher, &mut dirty);
            subscriber.deliver_shared(&mut fanout, options, group);
            flusher.submit(&mut dirty);
        }
    }

    /// The member that gets a message, if it is on this node; not the one that is `gone`.
    fn chosen(
        &self,
        publication: &Publication,
        gone: Option<&str>,
    ) -> Option<(Arc<Subscriber>, SubscriptionOptions)> {
        let everywhere = self.everywhere.read();
        let gone = gone.and_then(|gone| everywhere.iter().position(|m| m.as_str() == gone));
        let count = everywhere.len() - usize::from(gone.is_some());
        let time = scatter(publication.position().timetoken.0);
        let index = time.checked_rem(u64::try_from(count).ok()?)?;
        let index = usize::try_from(index).ok()?;
        // As if the one that is gone was not there.
        let is_behind = gone.is_some_and(|gone| index >= gone);
        let chosen = everywhere.get(index + usize::from(is_behind))?;
        let here = self.here.read();
        let member = here.get(chosen)?;
        Some((member.subscriber.upgrade()?, member.options))
    }
}

/// What a message on the channel of a group holds, and for whom it was.
fn redelivered(publication: &Publication) -> Option<(Publication, String)> {
    let properties = publication.properties.as_ref()?;
    let properties: RedeliveryProperties = serde_json::from_str(properties.as_str()).ok()?;
    let Payload::Binary(bytes) = &publication.payload else {
        return None;
    };
    let draft = decode_draft(bytes.clone()).ok()?;
    let message = published(draft, publication.position().timetoken);
    Some((message, properties.mqtt_redelivery_of))
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
        if publication.target.channel() == Some(&self.channel) {
            if publication.kind.is_presence() {
                self.refresh_members();
            } else if let Some((message, gone)) = redelivered(publication) {
                self.deliver_again(&message, &gone);
            }
            return;
        }
        if publication.kind.is_presence() {
            return;
        }
        if let Some((subscriber, options)) = self.chosen(publication, None)
            && let Some(group) = self.own.upgrade()
        {
            subscriber.deliver_shared(fanout, options, group);
        }
    }
}

impl Redeliver for GroupMembers {
    fn redelivery(&self, publication: &Publication, gone: &ClientId) -> Option<Draft> {
        let mut message = BytesMut::new();
        encode_draft(publication, &mut message).ok()?;
        let properties = RedeliveryProperties {
            mqtt_redelivery_of: gone.as_str().to_owned(),
        };
        let draft = Draft::new(self.channel.clone(), Payload::Binary(message.freeze()));
        let properties = JsonText::of(&properties).ok()?;
        Some(draft.properties(properties).retention(Retention::NONE))
    }
}
