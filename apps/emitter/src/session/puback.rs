//! PUBACK: the client has a message of QoS 1.

use std::num::NonZeroU16;

use super::state::Session;

impl Session {
    pub(super) fn puback(&self, id: NonZeroU16) {
        self.subscriber.completed(id);
    }
}
