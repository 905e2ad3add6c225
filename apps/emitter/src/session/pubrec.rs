//! PUBREC: the client has a message of QoS 2, or does not want it. The answer is PUBREL.

use std::num::NonZeroU16;

use super::state::Session;
use crate::codec::outgoing;

impl Session {
    pub(super) fn pubrec(&self, id: NonZeroU16) {
        // The answer goes out for an id that is not known too, so that the client forgets it.
        self.subscriber.received(id);
        self.subscriber.send(outgoing::pubrel(self.version, id));
    }

    /// A refusal ends the exchange.
    pub(super) fn pubrec_refused(&self, id: NonZeroU16) {
        self.subscriber.completed(id);
    }
}
