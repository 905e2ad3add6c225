//! Segments of memory, all of one size, which go from one log to another.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// The smallest and the largest size of a segment.
const SIZES: (usize, usize) = (1 << 10, 64 << 10);

/// Segments that a bound has room for, so that those that are half full cost little.
const PER_BOUND: usize = 4096;

/// The segments that nobody uses.
#[derive(Debug)]
pub(super) struct Pool {
    size: usize,
    free: Mutex<Vec<Vec<u8>>>,
    len: AtomicUsize,
}

impl Pool {
    /// One for a store of so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        let size = (bytes_max / PER_BOUND).clamp(SIZES.0, SIZES.1);
        Self {
            // A power of two, so that places are told by masks.
            size: 1 << size.ilog2(),
            free: Mutex::default(),
            len: AtomicUsize::new(0),
        }
    }

    /// Bytes of a segment.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes of those that nobody uses.
    pub(super) fn bytes(&self) -> usize {
        self.len.load(Ordering::Relaxed) * self.size
    }

    /// An empty segment.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut free = self.free.lock();
        let segment = free.pop();
        self.len.store(free.len(), Ordering::Relaxed);
        drop(free);
        segment.unwrap_or_else(|| Vec::with_capacity(self.size))
    }

    pub(super) fn give(&self, mut segment: Vec<u8>) {
        segment.clear();
        let mut free = self.free.lock();
        free.push(segment);
        self.len.store(free.len(), Ordering::Relaxed);
    }

    /// Gives back to the system what is beyond so many bytes.
    pub(super) fn trim(&self, bytes: usize) {
        if self.bytes() <= bytes {
            return;
        }
        let mut free = self.free.lock();
        let kept = (bytes / self.size).min(free.len());
        let gone = free.split_off(kept);
        self.len.store(free.len(), Ordering::Relaxed);
        drop(free);
        drop(gone);
    }
}
