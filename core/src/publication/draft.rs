//! Publications before and after they have a place.

use std::time::Duration;

use bytestring::ByteString;

use super::{JsonText, Kind, Payload, Position};
use crate::{
    channel::Channel,
    identity::{ClientId, ConnectionId},
};

/// Where a publication goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// To the subscribers of a channel.
    Channel(Channel),
    /// To all connections of a client.
    Client(ClientId),
}

impl Target {
    /// The channel, where it is one.
    pub fn channel(&self) -> Option<&Channel> {
        match self {
            Self::Channel(channel) => Some(channel),
            Self::Client(_) => None,
        }
    }

    /// True for a channel that apps use among themselves.
    pub fn is_reserved(&self) -> bool {
        self.channel().is_some_and(Channel::is_reserved)
    }
}

impl From<Channel> for Target {
    fn from(channel: Channel) -> Self {
        Self::Channel(channel)
    }
}

impl From<ClientId> for Target {
    fn from(client: ClientId) -> Self {
        Self::Client(client)
    }
}

/// Whether and how long a publication is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Handed to the persistence policy.
    pub store: bool,
    /// Life time, where the publisher set one.
    pub ttl: Option<Duration>,
}

impl Retention {
    /// Kept as the persistence policy decides.
    pub const DEFAULT: Self = Self {
        store: true,
        ttl: None,
    };
    /// Not kept.
    pub const NONE: Self = Self {
        store: false,
        ttl: None,
    };
}

/// A publication that has no place in its channel yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Draft {
    /// Where it goes.
    pub target: Target,
    /// What it says.
    pub payload: Payload,
    /// What its publisher says about it; filters look here.
    pub meta: Option<JsonText>,
    /// What the app that took it in tells the apps that hand it out, such as a QoS or an audience: an object that begins with
    /// a member of the app's own. No client writes it, and none is shown it.
    pub properties: Option<JsonText>,
    /// What sort of message its publisher calls it, where that has a word for it.
    pub label: Option<ByteString>,
    /// Who says it, where the publisher has an identity.
    pub publisher: Option<ClientId>,
    /// True when a credential proves that it is the publisher. Otherwise it only says so. The space sets it.
    pub is_proven: bool,
    /// The connection that must not get it: its publisher, where that asked for no echo.
    pub except: Option<ConnectionId>,
    /// The sort.
    pub kind: Kind,
    /// Whether it is kept.
    pub retention: Retention,
}

impl Draft {
    /// An ordinary message.
    pub fn new(target: impl Into<Target>, payload: Payload) -> Self {
        Self {
            target: target.into(),
            payload,
            meta: None,
            properties: None,
            label: None,
            publisher: None,
            is_proven: false,
            except: None,
            kind: Kind::Message,
            retention: Retention::DEFAULT,
        }
    }

    /// Sets the publisher.
    #[must_use]
    pub fn publisher(mut self, client: impl Into<Option<ClientId>>) -> Self {
        self.publisher = client.into();
        self
    }

    /// Sets what the publisher says about it.
    #[must_use]
    pub fn meta(mut self, meta: impl Into<Option<JsonText>>) -> Self {
        self.meta = meta.into();
        self
    }

    /// Sets what its app tells those that hand it out.
    #[must_use]
    pub fn properties(mut self, properties: impl Into<Option<JsonText>>) -> Self {
        self.properties = properties.into();
        self
    }

    /// Sets what its publisher calls this sort of message.
    #[must_use]
    pub fn label(mut self, label: impl Into<Option<ByteString>>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the sort.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the connection that must not get it.
    #[must_use]
    pub fn except(mut self, connection: impl Into<Option<ConnectionId>>) -> Self {
        self.except = connection.into();
        self
    }

    /// Sets whether it is kept.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// The publisher, where a credential proves who it is.
    pub fn proven_publisher(&self) -> Option<&ClientId> {
        self.publisher.as_ref().filter(|_| self.is_proven)
    }

    /// Bytes of all that it says, which bounds count.
    pub fn bytes(&self) -> usize {
        let length = |json: &Option<JsonText>| json.as_ref().map_or(0, |json| json.as_str().len());
        let label = self.label.as_ref().map_or(0, |label| label.len());
        self.payload.len() + length(&self.meta) + length(&self.properties) + label
    }

    /// Gives it a place.
    pub fn at(self, position: Position) -> Publication {
        Publication {
            content: self,
            position,
        }
    }
}

/// A publication in its place. Immutable, shared behind one `Arc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    content: Draft,
    position: Position,
}

impl Publication {
    /// The place.
    pub fn position(&self) -> Position {
        self.position
    }
}

impl std::ops::Deref for Publication {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.content
    }
}
