//! Receivers: what the hub delivers to.

use crate::{
    channel::Channel,
    framing::CloseReason,
    identity::{ClientId, ConnectionId},
    publication::Target,
};

use super::Fanout;

/// One connection or session, as the hub sees it.
pub trait Receiver: Send + Sync + 'static {
    /// Whose it is.
    fn connection(&self) -> ConnectionId;

    /// The client, once it has an identity. Default: none, as for what is no client's connection.
    fn client(&self) -> Option<ClientId> {
        None
    }

    /// False when it makes nothing of [notices of presence](crate::Kind::Presence): it is then given none, and where nobody
    /// takes them nobody is asked. Fixed. Default: it takes them.
    fn takes_presence(&self) -> bool {
        true
    }

    /// Takes one publication.
    ///
    /// Called in the order of the channel, while the channel is locked: it puts the publication into a
    /// bounded queue and returns; it must not block, wait, or call the hub.
    fn deliver(&self, fanout: &mut Fanout<'_>);

    /// Publications to `target`, which this receives, are lost, or may be: a gap. What is delivered next comes after it.
    ///
    /// Called like [`deliver`](Self::deliver), in its place in the order of the channel. It tells its client in the words of
    /// its protocol, where that has any. It must not block, wait, or call the hub. Default: nothing.
    fn gap(&self, target: &Target) {
        let _ = target;
    }

    /// The server has ended what this receives: nothing is delivered any more. It tells its client why, in the words
    /// of its protocol, and closes the connection. Called once; it must not wait. Default: nothing, as for what is no
    /// client's connection.
    fn end(&self, why: &EndReason) {
        let _ = why;
    }

    /// The server is about to put it onto a channel, which may be one that it is on; for a protocol that keeps a list of
    /// its own. It must not wait. Default: nothing.
    fn subscribed(&self, channel: &Channel) {
        let _ = channel;
    }

    /// The server is about to take it off a channel, which it need not be on. It must not wait. Default: nothing.
    fn unsubscribed(&self, channel: &Channel) {
        let _ = channel;
    }
}

/// Why the server ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// Its credential, or a right that it used, has ended.
    Expired,
    /// Its rights were taken back.
    Revoked,
    /// An operator, or a program, sent it away.
    Disconnected(CloseReason),
}

impl EndReason {
    /// The same as WebSocket and SockJS clients see it.
    pub fn close_reason(&self) -> CloseReason {
        match self {
            Self::Expired => CloseReason::new(4001, "Your credentials have expired"),
            Self::Revoked => CloseReason::new(4003, "Your rights were taken back"),
            Self::Disconnected(reason) => reason.clone(),
        }
    }
}
