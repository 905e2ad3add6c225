//! Receivers: what the hub delivers to.

use crate::identity::{ClientId, ConnectionId};

use super::Fanout;

/// One connection or session, as the hub sees it.
pub trait Receiver: Send + Sync + 'static {
    /// Whose it is.
    fn connection(&self) -> ConnectionId;

    /// The client, once it has an identity. Default: none, as for what is no client's connection.
    fn client(&self) -> Option<ClientId> {
        None
    }

    /// Takes one publication.
    ///
    /// Called in the order of the channel, while the channel is locked: it puts the publication into a
    /// bounded queue and returns; it must not block, wait, or call the hub.
    fn deliver(&self, fanout: &mut Fanout<'_>);
}
