//! Deliveries that wait until what came before them was read from history.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
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
pub(crate) struct Held {
    receiver: Arc<dyn Receiver>,
    open: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    publications: Vec<Publication>,
    bytes: usize,
    /// More came than may be kept: what is kept was given up.
    overflown: bool,
}

impl Held {
    pub(crate) fn new(receiver: Arc<dyn Receiver>) -> Arc<Self> {
        Arc::new(Self {
            receiver,
            open: AtomicBool::new(false),
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
            // What is not stored is in no history.
            if !publication.retention.store || publication.position().timetoken > read {
                self.pass(&publication, flusher);
            }
        }
        // Under the lock: what is delivered meanwhile waits for it.
        self.open.store(true, Ordering::Release);
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

impl Receiver for Held {
    fn connection(&self) -> ConnectionId {
        self.receiver.connection()
    }

    fn client(&self) -> Option<ClientId> {
        self.receiver.client()
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        if self.open.load(Ordering::Acquire) {
            return self.receiver.deliver(fanout);
        }
        let mut kept = self.kept.lock();
        if self.open.load(Ordering::Acquire) {
            drop(kept);
            return self.receiver.deliver(fanout);
        }
        if kept.overflown {
            return;
        }
        let publication = fanout.publication();
        kept.bytes += publication.payload.len() + OVERHEAD;
        if kept.bytes > BYTES_MAX {
            *kept = Kept {
                overflown: true,
                ..Kept::default()
            };
            return;
        }
        kept.publications.push(publication.clone());
    }
}
