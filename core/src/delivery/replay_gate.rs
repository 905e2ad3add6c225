//! Deliveries that wait until what came before them was read from history.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::{Fanout, Flusher, Receiver};
use crate::{
    identity::{ClientId, ConnectionId},
    publication::{Publication, Timetoken},
};

/// Bytes of payload that may be held.
const BYTES_MAX: usize = 4 << 20;
/// What a publication costs besides its payload.
const OVERHEAD: usize = 512;

/// Stands before a receiver while its client is given history, and keeps what is published meanwhile.
/// Afterwards it lets everything through.
pub(crate) struct ReplayGate {
    receiver: Arc<dyn Receiver>,
    /// 0 while it holds. Then the first timetoken that is not among what was read: a publication can be read before
    /// it is delivered, and is delivered after the reader has caught up.
    open_from: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    publications: Vec<Publication>,
    bytes: usize,
    /// More came than may be kept: what is kept was given up.
    overflown: bool,
}

impl ReplayGate {
    pub(crate) fn new(receiver: Arc<dyn Receiver>) -> Arc<Self> {
        Arc::new(Self {
            receiver,
            open_from: AtomicU64::new(0),
            kept: Mutex::default(),
        })
    }

    /// Delivers what was kept and is not among what was read up to `read`, then lets everything through.
    /// False when more came than may be kept: then nothing is delivered and it holds on from here; read
    /// history up to now first.
    pub(crate) fn release(&self, read: Timetoken, flusher: &Flusher) -> bool {
        let mut kept = self.kept.lock();
        if std::mem::take(&mut kept.overflown) {
            return false;
        }
        for publication in std::mem::take(&mut kept.publications) {
            if is_news(&publication, read.0 + 1) {
                self.pass(&publication, flusher);
            }
        }
        // Under the lock: what is delivered meanwhile waits for it.
        self.open_from.store(read.0 + 1, Ordering::Release);
        true
    }

    /// Delivers a publication from history.
    pub(crate) fn pass(&self, publication: &Publication, flusher: &Flusher) {
        flusher.collect(|dirty| {
            let mut fanout = Fanout::new(publication, flusher, dirty);
            self.receiver.deliver(&mut fanout);
        });
    }
}

impl Receiver for ReplayGate {
    fn connection(&self) -> ConnectionId {
        self.receiver.connection()
    }

    fn client(&self) -> Option<ClientId> {
        self.receiver.client()
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let mut open_from = self.open_from.load(Ordering::Acquire);
        if open_from == 0 {
            let mut kept = self.kept.lock();
            open_from = self.open_from.load(Ordering::Acquire);
            if open_from == 0 {
                return kept.keep(fanout.publication());
            }
        }
        if is_news(fanout.publication(), open_from) {
            self.receiver.deliver(fanout);
        }
    }
}

/// True for what was not read from history; what is not stored is in none.
fn is_news(publication: &Publication, from: u64) -> bool {
    !publication.retention.store || publication.position().timetoken.0 >= from
}

impl Kept {
    fn keep(&mut self, publication: &Publication) {
        if self.overflown {
            return;
        }
        self.bytes += publication.payload.len() + OVERHEAD;
        if self.bytes > BYTES_MAX {
            *self = Self {
                overflown: true,
                ..Self::default()
            };
            return;
        }
        self.publications.push(publication.clone());
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
        let held = ReplayGate::new(recorder.clone());
        let publication = |n: u64, text: &'static str| {
            let draft = Draft::new(Channel::new("room").unwrap(), Payload::text(text));
            draft.at(Position {
                timetoken: Timetoken(n),
                ..Position::default()
            })
        };
        let deliver = |publication: &Publication| {
            flusher.collect(|dirty| {
                held.deliver(&mut Fanout::new(publication, &flusher, dirty));
            });
        };
        deliver(&publication(1, "read"));
        deliver(&publication(3, "held"));
        assert!(held.release(Timetoken(2), &flusher));
        deliver(&publication(2, "read, and late"));
        deliver(&publication(4, "live"));
        assert_eq!(recorder.texts(), ["held", "live"]);
    }
}
