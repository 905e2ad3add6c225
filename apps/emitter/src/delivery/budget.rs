//! The budget: bytes that wait for all clients with sessions that outlive their connections.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that all sessions together may keep for their clients.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            bytes_max,
        }
    }

    /// True when so many more may be kept. Several that ask at once may pass the bound by what each adds.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= self.bytes_max
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
