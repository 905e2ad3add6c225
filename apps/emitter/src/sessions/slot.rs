//! The slot of a client id: one connection of it, or a client that is away.

use std::sync::Arc;

use parking_lot::Mutex;
use polywire_core::{Space, Timetoken};
use rmqtt_codec::v5::DisconnectReasonCode;

use crate::{delivery::connection_handle::ConnectionHandle, session::state::Session};

/// The slot of one connection, or of a client that is away. Whoever has the session may use it: a further
/// connection of the same client id takes it, as soon as the packet is done that the earlier one is at.
pub(crate) struct SessionSlot {
    /// None for a client that is away: its session holds no connection, and no descriptor of one.
    handle: Mutex<Option<Arc<ConnectionHandle>>>,
    /// What was published before is not about it.
    pub(super) since: Timetoken,
    pub(crate) session: tokio::sync::Mutex<Option<Box<Session>>>,
}

impl SessionSlot {
    /// Of a connection.
    pub(crate) fn new(handle: Arc<ConnectionHandle>, space: &Space) -> Arc<Self> {
        Self::with(Some(handle), space)
    }

    /// Of a client that is away.
    pub(super) fn away(space: &Space) -> Arc<Self> {
        Self::with(None, space)
    }

    fn with(handle: Option<Arc<ConnectionHandle>>, space: &Space) -> Arc<Self> {
        Arc::new(Self {
            handle: Mutex::new(handle),
            since: space.hub().clock().tick(),
            session: tokio::sync::Mutex::default(),
        })
    }

    /// Ends the connection, and gives its session.
    pub(super) async fn take_over(&self) -> Option<Box<Session>> {
        self.disconnect();
        self.session.lock().await.take()
    }

    /// Ends the connection, if there is one: another has come.
    pub(super) fn disconnect(&self) {
        if let Some(handle) = self.forget_connection() {
            handle.disconnect(DisconnectReasonCode::SessionTakenOver);
        }
    }

    /// Lets go of the connection, which has ended or is about to.
    pub(super) fn forget_connection(&self) -> Option<Arc<ConnectionHandle>> {
        self.handle.lock().take()
    }
}
