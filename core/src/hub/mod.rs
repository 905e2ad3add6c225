//! The local fan-out: who on this node wants what, and in which order it gets it.

mod members;
mod node;
mod patterns;
mod shards;
mod topic;

pub use self::{members::JoinNumber, node::LocalNode};

use std::{fmt, sync::Arc};

use self::{patterns::Patterns, shards::Shards, topic::Topic};
use crate::{
    backend::Interest,
    channel::Channel,
    delivery::{Fanout, Flush, Flusher, Receiver},
    identity::{ClientId, NodeId},
    persistence::PersistencePolicy,
    publication::{Clock, Draft, Position, Publication, Target},
};

/// All channels, clients and patterns that somebody on this node wants.
///
/// Each channel has a lock of its own, under which a publication gets its place and is put into every
/// subscriber's queue; so all subscribers of all protocols see one order. Different channels share no
/// lock for longer than a look into a map.
pub struct Hub {
    node: NodeId,
    clock: Clock,
    channels: Shards<Channel>,
    clients: Shards<ClientId>,
    patterns: Patterns,
    flusher: Arc<Flusher>,
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

    /// Adds a receiver; from now on it gets what is published. A receiver joins an interest once:
    /// the number that is returned is needed to [`leave`](Self::leave).
    pub fn join(&self, interest: &Interest, receiver: Arc<dyn Receiver>) -> JoinNumber {
        match interest {
            Interest::Channel(channel) => self.channels.join(channel, &self.clock, &receiver),
            Interest::Client(client) => self.clients.join(client, &self.clock, &receiver),
            Interest::Pattern(pattern) => self.patterns.join(pattern, receiver),
        }
    }

    /// Removes a receiver. True when it was the last one.
    pub fn leave(&self, interest: &Interest, number: JoinNumber) -> bool {
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
    /// Publications of one channel are delivered in the order of their places, though they are stored at
    /// the same time. When the future is dropped, the publication is delivered all the same.
    pub(crate) async fn publish(
        &self,
        draft: Draft,
        persistence: &dyn PersistencePolicy,
    ) -> Position {
        let stored = draft.retention.store && persistence.stores();
        match draft.target.clone() {
            Target::Channel(channel) => {
                let seen = stored || self.patterns.any();
                let Some(topic) = self.channels.get_or(&channel, seen, &self.clock) else {
                    return topic::unseen(&self.clock);
                };
                let position = self.publish_on(&topic, draft, stored, persistence).await;
                if seen {
                    self.channels.retire_if_empty(&channel, &topic);
                }
                position
            }
            Target::Client(client) => {
                let Some(topic) = self.clients.get_or(&client, stored, &self.clock) else {
                    return topic::unseen(&self.clock);
                };
                let position = self.publish_on(&topic, draft, stored, persistence).await;
                if stored {
                    self.clients.retire_if_empty(&client, &topic);
                }
                position
            }
        }
    }

    async fn publish_on(
        &self,
        topic: &Topic,
        draft: Draft,
        stored: bool,
        persistence: &dyn PersistencePolicy,
    ) -> Position {
        if !stored {
            return topic.publish(&self.clock, draft, &self.sink());
        }
        let turn = topic.take_turn(&self.clock, draft, self.sink());
        let publication = turn.publication();
        LocalNode::persist_with(persistence, &publication).await;
        publication.position()
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

/// Where a topic puts what it delivers.
struct Sink<'h> {
    hub: &'h Hub,
}

impl Sink<'_> {
    /// Delivers to the members of a topic and to matching wildcard subscribers, each connection once.
    fn fan_out(&self, publication: &Publication, members: &members::Members) {
        let mut dirty: Vec<Arc<dyn Flush>> = Vec::new();
        let mut fanout = Fanout::new(publication, &self.hub.flusher, &mut dirty);
        let except = publication.except;
        let wild = match &publication.target {
            Target::Channel(channel) => self.hub.patterns.receivers(channel),
            Target::Client(_) => None,
        };
        let Some(mut wild) = wild else {
            members.each(except, |receiver| receiver.deliver(&mut fanout));
            return self.hub.flusher.submit(&mut dirty);
        };
        members.each(except, |receiver| {
            wild.remove(&receiver.connection());
            receiver.deliver(&mut fanout);
        });
        for (connection, receiver) in &wild {
            if Some(*connection) != except {
                receiver.deliver(&mut fanout);
            }
        }
        self.hub.flusher.submit(&mut dirty);
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
