//! Interests: what a node wants to get.

use crate::{channel::Channel, identity::ClientId, pattern::Pattern, publication::Target};

/// What a node wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Interest {
    /// A channel.
    Channel(Channel),
    /// Private messages of a client.
    Client(ClientId),
    /// Every channel that matches.
    Pattern(Pattern),
}

impl From<Target> for Interest {
    fn from(target: Target) -> Self {
        match target {
            Target::Channel(channel) => Self::Channel(channel),
            Target::Client(client) => Self::Client(client),
        }
    }
}

impl From<&Channel> for Interest {
    fn from(channel: &Channel) -> Self {
        Self::Channel(channel.clone())
    }
}

impl From<&ClientId> for Interest {
    fn from(client: &ClientId) -> Self {
        Self::Client(client.clone())
    }
}

impl From<&Pattern> for Interest {
    fn from(pattern: &Pattern) -> Self {
        Self::Pattern(pattern.clone())
    }
}
