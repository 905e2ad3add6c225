//! PUBREL: the client will not send a message of QoS 2 again, whose packet id is free from now on. The answer is PUBCOMP.

use std::num::NonZeroU16;

use super::state::Session;
use crate::codec::outgoing;

impl Session {
    pub(super) fn pubrel(&mut self, id: NonZeroU16) {
        // One that was released over an earlier connection, whose answer was lost, is no fault: clients
        // that are told of one give up.
        let known = self.unreleased.release(id) || self.is_persistent();
        let answer = outgoing::pubcomp(self.version, id, known);
        self.subscriber.send(answer);
    }
}
