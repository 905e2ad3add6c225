//! PUBCOMP: the client has forgotten the packet id of a message of QoS 2, which ends with that.

use std::num::NonZeroU16;

use super::state::Session;

impl Session {
    pub(super) fn pubcomp(&self, id: NonZeroU16) {
        self.subscriber.completed(id);
    }
}
