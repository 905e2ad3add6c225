//! A receiver behind a gate: deliveries wait until what came before them was read from history.

use std::sync::Arc;

use super::{AlreadyRead, Fanout, Flusher, GateDecision, Receiver, ReplayGate};
use crate::{
    identity::{ClientId, ConnectionId},
    publication::{Publication, Target, Timetoken},
};

/// Stands before a receiver while its client is given the history of a channel, and keeps what is published meanwhile.
/// Afterwards it lets everything through.
pub(crate) struct GatedReceiver {
    receiver: Arc<dyn Receiver>,
    gate: ReplayGate,
}

impl GatedReceiver {
    pub(crate) fn new(receiver: Arc<dyn Receiver>) -> Arc<Self> {
        Arc::new(Self {
            receiver,
            gate: ReplayGate::closed(),
        })
    }

    /// Delivers what was kept and is not among what was read up to `read`, then lets everything through.
    /// False when more came than may be kept: then nothing is delivered and it holds on from here; read
    /// history up to now first.
    pub(crate) fn open(&self, read: Timetoken, flusher: &Flusher) -> bool {
        let read = AlreadyRead::UpTo(read);
        let deliver = |publication: &Publication, _| self.pass(publication, flusher);
        self.gate.open(&[], &read, deliver).is_ok()
    }

    /// Delivers a publication from history.
    pub(crate) fn pass(&self, publication: &Publication, flusher: &Flusher) {
        flusher.collect(|dirty| {
            let mut fanout = Fanout::new(publication, flusher, dirty);
            self.receiver.deliver(&mut fanout);
        });
    }
}

impl Receiver for GatedReceiver {
    fn connection(&self) -> ConnectionId {
        self.receiver.connection()
    }

    fn client(&self) -> Option<ClientId> {
        self.receiver.client()
    }

    fn takes_presence(&self) -> bool {
        self.receiver.takes_presence()
    }

    /// Told at once, while history is read, which shows it too.
    fn gap(&self, target: &Target) {
        self.receiver.gap(target);
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        match self.gate.decide(fanout.publication()) {
            GateDecision::Deliver => self.receiver.deliver(fanout),
            // What is too much to be held is read from history.
            GateDecision::Keep | GateDecision::Overflow => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, Draft, Hub, Payload, Position, testkit::Recorder};

    /// A publication is stored, read, and only then delivered: it must not come twice.
    #[test]
    fn what_was_read_before_it_was_delivered_comes_once() {
        let flusher = Flusher::new(1);
        let hub = Hub::new(flusher.clone());
        let recorder = Recorder::new(hub.node());
        let gated = GatedReceiver::new(recorder.clone());
        let publication = |n: u64, text: &'static str| {
            let draft = Draft::new(Channel::new("room").unwrap(), Payload::text(text));
            draft.at(Position {
                timetoken: Timetoken(n),
                ..Position::default()
            })
        };
        let deliver = |publication: &Publication| {
            flusher.collect(|dirty| {
                gated.deliver(&mut Fanout::new(publication, &flusher, dirty));
            });
        };
        deliver(&publication(1, "read"));
        deliver(&publication(3, "held"));
        assert!(gated.open(Timetoken(2), &flusher));
        deliver(&publication(2, "read, and late"));
        deliver(&publication(4, "live"));
        assert_eq!(recorder.texts(), ["held", "live"]);
    }
}
