//! The local fan-out: who on this node wants what, and in which order it gets it.

mod members;
mod node;
mod patterns;
mod shards;
mod sink;
mod storing;
mod topic;
mod traffic;

pub use self::{
    members::JoinNumber,
    node::LocalNode,
    storing::{BeingStored, PlacedHere},
    traffic::Traffic,
};

use std::{fmt, sync::Arc};

use self::{patterns::Patterns, shards::Shards, sink::Sink};
use crate::{
    channel::Channel,
    delivery::{Flusher, Receiver},
    identity::{ClientId, NodeId},
    interest::Interest,
    publication::{Clock, Draft, Position, Publication, Target},
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

    /// Connections on a channel that hear of its members.
    pub(crate) fn presence_takers(&self, channel: &Channel) -> usize {
        let topic = self.channels.get(channel);
        topic.map_or(0, |topic| topic.presence_takers())
    }

    /// Connections of a client.
    pub fn connections(&self, client: &ClientId) -> usize {
        self.clients.get(client).map_or(0, |topic| topic.len())
    }

    /// The channels that have subscribers, in no order.
    pub fn channels(&self) -> Vec<Channel> {
        self.channels.occupied()
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

    /// Tells the receivers of a target that publications are lost, or may be.
    pub(crate) fn gap(&self, target: &Target) {
        match target {
            Target::Channel(channel) => {
                let has_patterns = self.patterns.any();
                if let Some(topic) = self.channels.get_or(channel, has_patterns, &self.clock) {
                    topic.gap(target, &self.sink());
                    self.channels.retire_if_empty(channel, &topic);
                }
            }
            Target::Client(client) => {
                if let Some(topic) = self.clients.get(client) {
                    topic.gap(target, &self.sink());
                }
            }
        }
    }

    fn sink(&self) -> Sink<'_> {
        Sink {
            patterns: &self.patterns,
            flusher: &self.flusher,
            traffic: &self.traffic,
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
