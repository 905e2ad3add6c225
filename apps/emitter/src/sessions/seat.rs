//! The place of a client id.

use std::sync::Arc;

use polywire_core::{Space, Timetoken};
use rmqtt_codec::v5::DisconnectReasonCode;
use tokio::sync::Mutex;

use crate::{contact::Contact, session::Session};

/// The place of one connection, or of a client that is away. Whoever has the session may use it: a further
/// connection of the same client id takes it, as soon as the packet is done that the earlier one is at.
pub(crate) struct Seat {
    contact: Option<Arc<Contact>>,
    /// What was published before is not about it.
    pub(super) since: Timetoken,
    pub(crate) session: Mutex<Option<Box<Session>>>,
}

impl Seat {
    pub(crate) fn new(contact: Option<Arc<Contact>>, space: &Space) -> Arc<Self> {
        Arc::new(Self {
            contact,
            since: space.hub().clock().tick(),
            session: Mutex::default(),
        })
    }

    /// Ends the connection, and gives its session.
    pub(crate) async fn give_up(&self) -> Option<Box<Session>> {
        self.disconnect();
        self.session.lock().await.take()
    }

    /// Ends the connection.
    pub(super) fn disconnect(&self) {
        if let Some(contact) = &self.contact {
            contact.disconnect(DisconnectReasonCode::SessionTakenOver);
        }
    }
}
