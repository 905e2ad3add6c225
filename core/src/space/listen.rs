//! Listeners: closures that hear what is published on a channel, and are no client's connection.

use std::{fmt, sync::Arc};

use super::Space;
use crate::{
    channel::Channel,
    delivery::{Fanout, Receiver},
    hub::JoinNumber,
    identity::ConnectionId,
    interest::Interest,
    publication::Publication,
};

/// A listener on a channel. It hears no more when this is dropped.
pub struct ChannelListener {
    space: Arc<Space>,
    connection: ConnectionId,
    interest: Interest,
    number: JoinNumber,
}

/// Receives for a closure.
struct Hearing<F> {
    connection: ConnectionId,
    hear: F,
}

impl<F: Fn(&Publication) + Send + Sync + 'static> Receiver for Hearing<F> {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        (self.hear)(fanout.publication());
    }
}

impl Space {
    /// Has `hear` called with each publication of a channel, from now on and until the listener is dropped, without
    /// asking anybody: for what nodes tell each other on [reserved](super::RESERVED) channels, and for services in
    /// the same process. Returns when publications of other nodes arrive too.
    ///
    /// `hear` is called while the channel is locked: it must be short, must not wait, and must not publish on the
    /// channel.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind.
    pub async fn listen(
        self: &Arc<Self>,
        channel: Channel,
        hear: impl Fn(&Publication) + Send + Sync + 'static,
    ) -> ChannelListener {
        let connection = ConnectionId::next(self.hub.node());
        let interest = Interest::Channel(channel);
        let number = (self.hub).join(&interest, Arc::new(Hearing { connection, hear }));
        // Made before it is waited: when the future is dropped the hub is left.
        let listener = ChannelListener {
            space: self.clone(),
            connection,
            interest,
            number,
        };
        self.subscribe_elsewhere(&listener.interest).await;
        listener
    }

    /// Gives a receiver what is published, from now on and until the server stops, without asking anybody. Returns
    /// when publications of other nodes arrive too.
    pub(super) async fn follow(&self, interest: &Interest, receiver: Arc<dyn Receiver>) {
        self.hub.join(interest, receiver);
        self.subscribe_elsewhere(interest).await;
    }

    /// Returns when publications of other nodes arrive too, for what was joined on this one.
    pub(super) async fn subscribe_elsewhere(&self, interest: &Interest) {
        if let Err(error) = self.backend.subscribe(interest).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, ?interest, "subscribed on this node only, for now");
        }
    }
}

impl ChannelListener {
    /// The connection that the listener is: a publication [except](crate::Draft::except) for it is not heard.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }
}

impl Drop for ChannelListener {
    fn drop(&mut self) {
        if self.space.hub.leave(&self.interest, self.number) {
            self.space.backend.unsubscribe(&self.interest);
        }
    }
}

impl fmt::Debug for ChannelListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelListener")
            .field("interest", &self.interest)
            .finish_non_exhaustive()
    }
}
