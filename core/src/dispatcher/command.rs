//! Commands, and what can become of them.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    channel::Channel,
    identity::{ClientId, ConnectionId, Identity},
    publication::{Draft, JsonText, Position, Target},
};

/// Where a command comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Origin {
    /// The short name of the app, such as `seth`.
    pub app: &'static str,
    /// The connection, where the command did not come by a single HTTP request.
    pub connection: Option<ConnectionId>,
    /// The client, once it has an identity.
    pub client: Option<ClientId>,
    /// What the client may do.
    pub identity: Arc<Identity>,
    /// The address of the peer.
    pub peer: Option<SocketAddr>,
}

impl Origin {
    /// Commands that `app` takes from somebody with this identity.
    pub fn new(app: &'static str, identity: impl Into<Arc<Identity>>) -> Self {
        let identity = identity.into();
        Self {
            app,
            connection: None,
            client: identity.client.clone(),
            identity,
            peer: None,
        }
    }

    /// Sets the address of the peer.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<Option<SocketAddr>>) -> Self {
        self.peer = peer.into();
        self
    }
}

/// What a client asks for.
#[derive(Debug, Clone)]
// A publish is what happens most, and boxing it would cost an allocation each time.
#[allow(clippy::large_enum_variant)]
#[non_exhaustive]
pub enum Command {
    /// Take an identity.
    Connect(ClientId),
    /// Join a channel.
    Subscribe(Channel),
    /// Leave a channel.
    Unsubscribe(Channel),
    /// Publish to a channel or a client.
    Publish(Draft),
    /// Something of a type that the protocol does not know: a type of one's own. A dispatcher that knows it does what it stands
    /// for and [drops](Verdict::Drop) it; one that goes on is refused as unknown.
    Custom(CustomCommand),
}

/// A command of a type that the protocol does not know, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CustomCommand {
    /// The type, as the client wrote it.
    pub kind: String,
    /// All of it.
    pub body: JsonText,
}

impl CustomCommand {
    /// A command of this type.
    pub fn new(kind: impl Into<String>, body: JsonText) -> Self {
        Self {
            kind: kind.into(),
            body,
        }
    }
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The connection took an identity.
    Connected(ClientId),
    /// The connection joined a channel.
    Subscribed(Channel),
    /// The connection left a channel.
    Unsubscribed(Channel),
    /// A message was published.
    Published(Target, Position),
    /// The connection ended.
    Disconnected,
}

/// What a dispatcher decided.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
#[must_use]
pub enum Verdict {
    /// Do this: the command as it came, or another one of the same variant.
    Proceed(Command),
    /// Do nothing, and let the client believe that it was done.
    Drop,
    /// Do nothing, and tell the client why.
    Refuse(Refusal),
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The sort, from which each protocol makes its own code.
    pub kind: RefusalKind,
    /// One sentence for the client.
    pub message: String,
}

/// The sort of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The client has no right to do it.
    Forbidden,
    /// The command is malformed.
    Invalid,
    /// A limit would be passed.
    LimitExceeded,
    /// It cannot be done now, or not everywhere; trying again later makes sense.
    Unavailable,
}

impl Refusal {
    /// A refusal of this sort.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The client has no right to do it.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Forbidden, message)
    }

    /// The command is malformed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid, message)
    }

    /// A limit would be passed.
    pub fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(RefusalKind::LimitExceeded, message)
    }
}
