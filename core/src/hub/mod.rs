//! The local fan-out: who on this node wants what, and in which order it gets it.

mod members;
mod node;
mod patterns;
mod shards;
mod storing;
mod topic;
mod traffic;

pub use self::{members::JoinNumber, node::LocalNode, traffic::Traffic};

use std::{fmt, hash::Hash, sync::Arc};

use self::{
    members::Members,
    patterns::{Patterns, Unmatched},
    shards::Shards,
    storing::Storing,
    topic::Retired,
};
use crate::{
    backend::Interest,
    channel::Channel,
    delivery::{Fanout, Flusher, Receiver},
    identity::{ClientId, NodeId},
    persistence::{HistoryError, PersistenceError},
    publication::{Clock, Draft, Kind, Position, Publication, Target},
    receipt::Receipt,
};

/// All channels, clients and patterns that somebody on this node wants.
///
/// Each channel has a lock of its own, under which a publication gets its place and is put into every
/// subscriber's queue; so all subscribers of all protocols see one order. Different channels share no
/// lock for longer than a look into a map, and that lock is one of many, which publishers only read. The
/// lock of the patterns is taken only for a channel that a pattern matches, or may match since one came.
pub struct Hub {
    node: NodeId,
    clock: Clock,
    channels: Shards<Channel>,
    clients: Shards<ClientId>,
    patterns: Patterns,
    flusher: Arc<Flusher>,
    traffic: Traffic,
}

impl Hub {
    /// An empty hub.
    pub fn new(flusher: Arc<Flusher>) -> Self {
        Self {
            node: NodeId::random(),
            clock: Clock::default(),
            channels: Shards::default(),
            clients: Shards::default(),
            patterns: Patterns::default(),
            flusher,
            traffic: Traffic::default(),
        }
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The clock of this node.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The flusher that deliveries are handed to.
    pub fn flusher(&self) -> &Arc<Flusher> {
        &self.flusher
    }

    /// What has passed on this node.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Adds a receiver; from now on it gets what is published. A receiver joins an interest once:
    /// the number that is returned is needed to [`leave`](Self::leave).
    pub fn join(&self, interest: &Interest, receiver: Arc<dyn Receiver>) -> JoinNumber {
        self.traffic.joined(interest);
        match interest {
            Interest::Channel(channel) => self.channels.join(channel, &self.clock, &receiver),
            Interest::Client(client) => self.clients.join(client, &self.clock, &receiver),
            Interest::Pattern(pattern) => self.patterns.join(pattern, receiver),
        }
    }

    /// Removes a receiver. True when it was the last one.
    pub fn leave(&self, interest: &Interest, number: JoinNumber) -> bool {
        self.traffic.left(interest);
        match interest {
            Interest::Channel(channel) => self.channels.leave(channel, number),
            Interest::Client(client) => self.clients.leave(client, number),
            Interest::Pattern(pattern) => self.patterns.leave(pattern, number),
        }
    }

    /// True when somebody on this node wants `interest`.
    pub fn is_occupied(&self, interest: &Interest) -> bool {
        match interest {
            Interest::Channel(channel) => self.channels.is_occupied(channel),
            Interest::Client(client) => self.clients.is_occupied(client),
            Interest::Pattern(pattern) => self.patterns.is_occupied(pattern),
        }
    }

    /// True when somebody on this node gets what is published on a channel.
    pub fn is_wanted(&self, channel: &Channel) -> bool {
        self.channels.is_occupied(channel) || self.patterns.any_matches(channel)
    }

    /// Everything that somebody on this node wants.
    pub fn interests(&self) -> Vec<Interest> {
        let channels = self.channels.occupied().into_iter().map(Interest::Channel);
        let clients = self.clients.occupied().into_iter().map(Interest::Client);
        let patterns = self.patterns.occupied().into_iter().map(Interest::Pattern);
        channels.chain(clients).chain(patterns).collect()
    }

    /// The clients on a channel in the order in which they joined; `None` for a connection without an
    /// identity. A client with several connections appears several times.
    pub fn members(&self, channel: &Channel) -> Vec<Option<ClientId>> {
        self.channels
            .get(channel)
            .map(|topic| topic.receivers(|receiver| receiver.client()))
            .unwrap_or_default()
    }

    /// Connections on a channel.
    pub fn count(&self, channel: &Channel) -> usize {
        self.channels.get(channel).map_or(0, |topic| topic.len())
    }

    /// Connections of a client.
    pub fn connections(&self, client: &ClientId) -> usize {
        self.clients.get(client).map_or(0, |topic| topic.len())
    }

    /// The channels that have subscribers, in no order.
    pub fn channels(&self) -> Vec<Channel> {
        self.channels.occupied()
    }

    /// Gives a draft its place, has it stored, and delivers it on this node.
    ///
    /// Publications of one channel are delivered in the order of their places. When the future is dropped, the
    /// publication takes place or not, never half.
    ///
    /// # Errors
    /// When it was to be stored and was not; then nobody gets it.
    async fn publish(&self, draft: Draft, storing: &Storing) -> Result<Receipt, PersistenceError> {
        if draft.retention.store && storing.policy.stores() {
            return match draft.target.clone() {
                Target::Channel(channel) => {
                    self.publish_stored(&self.channels, &channel, draft, storing)
                        .await
                }
                Target::Client(client) => {
                    self.publish_stored(&self.clients, &client, draft, storing)
                        .await
                }
            };
        }
        Ok(Receipt::delivered(self.publish_unstored(draft)))
    }

    /// Gives a draft its place and delivers it on this node.
    pub(crate) fn publish_unstored(&self, draft: Draft) -> Position {
        match &draft.target {
            Target::Channel(channel) => {
                let channel = channel.clone();
                let seen = self.patterns.any();
                match self.channels.get_or(&channel, seen, &self.clock) {
                    None => topic::unseen(&self.clock),
                    Some(topic) => {
                        let position = topic.publish(&self.clock, draft, &self.sink());
                        if seen {
                            self.channels.retire_if_empty(&channel, &topic);
                        }
                        position
                    }
                }
            }
            Target::Client(client) => match self.clients.get(client) {
                None => topic::unseen(&self.clock),
                Some(topic) => topic.publish(&self.clock, draft, &self.sink()),
            },
        }
    }

    async fn publish_stored<K: Hash + Eq + Clone>(
        &self,
        topics: &Shards<K>,
        name: &K,
        draft: Draft,
        storing: &Storing,
    ) -> Result<Receipt, PersistenceError> {
        let waits = storing.policy.waits(&draft.target);
        loop {
            let topic = topics.get_or_make(name, &self.clock);
            if !topic.is_rooted() {
                topic.root(last_position(storing, &draft.target).await?);
            }
            if !waits {
                let policy = &*storing.policy;
                // A draft is cloned only where its topic is gone, which is seldom: it shares its bytes.
                match topic.publish_kept(&self.clock, draft.clone(), policy, &self.sink()) {
                    Err(Retired) => continue,
                    Ok(outcome) => {
                        topics.retire_if_empty(name, &topic);
                        return outcome;
                    }
                }
            }
            let (room, told) = storing.room(draft.payload.len()).await?;
            let (position, refused) =
                match topic.take_turn(&self.clock, draft.clone(), storing, room) {
                    Err(Retired) => continue,
                    Ok(taken) => taken,
                };
            drop(refused);
            let durability = told.await.unwrap_or(Err(PersistenceError::Closed))?;
            return Ok(Receipt::new(position, durability));
        }
    }

    /// Delivers a publication that got its place elsewhere.
    pub(crate) fn deliver(&self, publication: &Publication) {
        let topic = match &publication.target {
            Target::Channel(channel) => {
                self.channels
                    .get_or(channel, self.patterns.any(), &self.clock)
            }
            Target::Client(client) => self.clients.get(client),
        };
        let Some(topic) = topic else { return };
        topic.deliver(publication, &self.sink());
        if let Target::Channel(channel) = &publication.target {
            self.channels.retire_if_empty(channel, &topic);
        }
    }

    fn sink(&self) -> Sink<'_> {
        Sink { hub: self }
    }
}

/// Where the history of a target ends, if somebody keeps it.
async fn last_position(
    storing: &Storing,
    target: &Target,
) -> Result<Option<Position>, PersistenceError> {
    let Some(history) = storing.policy.history() else {
        return Ok(None);
    };
    match history.last_position(target).await {
        Ok(last) => Ok(last),
        Err(HistoryError::NotKept) => Ok(None),
        Err(error) => Err(PersistenceError::store(error)),
    }
}

/// Where a topic puts what it delivers.
struct Sink<'h> {
    hub: &'h Hub,
}

impl Sink<'_> {
    /// Delivers to the members of a topic and to matching wildcard subscribers, each connection once.
    fn fan_out(&self, publication: &Publication, members: &Members, unmatched: &mut Unmatched) {
        let except = publication.except;
        let wild = match &publication.target {
            Target::Channel(channel) => self.hub.patterns.receivers(channel, unmatched),
            Target::Client(_) => None,
        };
        let mut deliveries = 0;
        self.hub.flusher.collect(|dirty| {
            let mut fanout = Fanout::new(publication, &self.hub.flusher, dirty);
            let mut deliver = |receiver: &Arc<dyn Receiver>| {
                deliveries += 1;
                receiver.deliver(&mut fanout);
            };
            let Some(mut wild) = wild else {
                return members.each(except, deliver);
            };
            members.each(except, |receiver| {
                wild.remove(receiver.connection());
                deliver(receiver);
            });
            wild.each(except, deliver);
        });
        if is_message(publication) {
            self.hub.traffic.add_delivered(deliveries);
        }
    }
}

/// What clients say to each other.
fn is_message(publication: &Publication) -> bool {
    matches!(publication.kind, Kind::Message | Kind::Signal) && !publication.target.is_reserved()
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
