//! Queued bytes of an outbox: frames that are shared, or get their number when they are written.

use std::cell::Cell;

use bytes::Bytes;

use super::{batch_buffer::BatchSlice, numbered::NumberedRun};

/// One or more whole frames that wait for a connection.
#[derive(Debug)]
pub(super) enum QueuedBytes {
    /// On the buffer of a batch.
    BatchSlice(BatchSlice),
    /// On the buffer of a batch, and numbered when they are written.
    Numbered(NumberedRun),
    /// In a buffer of their own.
    Own(Bytes),
    /// The same, and it must not be written yet, nor what is behind it.
    Held(Bytes),
}

impl QueuedBytes {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::BatchSlice(placed) => placed.len(),
            Self::Numbered(run) => run.len(),
            Self::Own(bytes) | Self::Held(bytes) => bytes.len(),
        }
    }

    /// The bytes; those of a numbered piece are taken from the front of `numbered`.
    pub(super) fn bytes<'b>(&'b self, numbered: &mut &'b [u8]) -> &'b [u8] {
        match self {
            Self::BatchSlice(placed) => placed.bytes(),
            Self::Numbered(run) => {
                let (bytes, rest) = numbered.split_at(run.len());
                *numbered = rest;
                bytes
            }
            Self::Own(bytes) | Self::Held(bytes) => bytes,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// It may be written from now on.
    pub(super) fn release(&mut self) {
        if let Self::Held(bytes) = self {
            *self = Self::Own(std::mem::take(bytes));
        }
    }

    /// Lets go of the buffer: a queue that waits long must hold no more than its own bytes.
    pub(super) fn settle(&mut self) {
        match self {
            Self::BatchSlice(placed) => *self = Self::Own(placed.copied()),
            Self::Numbered(run) => {
                let mut bytes = Vec::with_capacity(run.len());
                run.write(&mut bytes);
                *self = Self::Own(bytes.into());
            }
            Self::Own(_) | Self::Held(_) => {}
        }
    }
}

/// A buffer longer than this is not kept for the next write.
const SCRATCH_KEPT: usize = 128 << 10;

thread_local! {
    /// A buffer that was used before, and is in the processor's cache.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The frames of those queued that are numbered, one after another, for the time of a write.
pub(super) struct Numbers(Vec<u8>);

impl Numbers {
    pub(super) fn of<'p>(queued: impl Iterator<Item = &'p QueuedBytes>) -> Self {
        // An empty one takes no memory.
        let mut bytes = Vec::new();
        for piece in queued {
            if let QueuedBytes::Numbered(run) = piece {
                if bytes.capacity() == 0 {
                    bytes = SCRATCH.take();
                }
                run.write(&mut bytes);
            }
        }
        Self(bytes)
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        if (1..=SCRATCH_KEPT).contains(&bytes.capacity()) {
            bytes.clear();
            SCRATCH.set(bytes);
        }
    }
}
