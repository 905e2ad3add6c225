//! The frames of a batch, one after another in one buffer.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

/// Bytes after which a new buffer is begun.
const BATCH_BUFFER_BYTES: usize = 64 << 10;

/// Bytes that a buffer has room for at first: most batches are small.
const FIRST_BYTES: usize = 1 << 10;

/// Frames in the order in which they were published, side by side.
///
/// Subscribers of the same channels get the same frames one after another. A queue of such frames is one
/// range of the buffer: a push moves the end of the range, and the flush is one plain write. A buffer takes
/// frames until somebody reads it, and is only read from then on.
struct BatchBuffer {
    open: Mutex<BytesMut>,
    closed: OnceLock<Bytes>,
}

impl BatchBuffer {
    fn new(first: usize) -> Self {
        Self {
            open: Mutex::new(BytesMut::with_capacity(first.max(FIRST_BYTES))),
            closed: OnceLock::new(),
        }
    }

    /// `None` when the buffer takes no more.
    fn place(&self, parts: &[&[u8]], length: usize) -> Option<Range<u32>> {
        let mut open = self.open.lock();
        let (start, end) = (open.len(), open.len() + length);
        // Closed under the same lock.
        if self.closed.get().is_some() || (end > BATCH_BUFFER_BYTES && start > 0) {
            return None;
        }
        parts.iter().for_each(|part| open.extend_from_slice(part));
        Some(u32::try_from(start).ok()?..u32::try_from(end).ok()?)
    }

    fn bytes(&self) -> &Bytes {
        if let Some(bytes) = self.closed.get() {
            return bytes;
        }
        let mut open = self.open.lock();
        self.closed
            .get_or_init(|| std::mem::take(&mut *open).freeze())
    }
}

/// Some frames that lie side by side on a buffer.
#[derive(Clone)]
pub(crate) struct BatchSlice {
    buffer: Arc<BatchBuffer>,
    range: Range<u32>,
}

impl BatchSlice {
    pub(super) fn len(&self) -> usize {
        self.range.len()
    }

    /// Takes `next` in, if it lies right behind on the same buffer.
    pub(super) fn extend(&mut self, next: &Self) -> bool {
        let joins = self.range.end == next.range.start && Arc::ptr_eq(&self.buffer, &next.buffer);
        if joins {
            self.range.end = next.range.end;
        }
        joins
    }

    /// The frames; the buffer takes no more from now on.
    pub(super) fn bytes(&self) -> &[u8] {
        let (start, end) = (self.range.start as usize, self.range.end as usize);
        &self.buffer.bytes()[start..end]
    }

    /// The frames without the rest of the buffer, for a queue that may have to wait long.
    pub(super) fn copied(&self) -> Bytes {
        Bytes::copy_from_slice(self.bytes())
    }
}

/// Places frames, on a new buffer whenever one is full or was read.
pub(super) struct BatchBuffers {
    current: Mutex<Arc<BatchBuffer>>,
}

impl Default for BatchBuffers {
    fn default() -> Self {
        Self {
            current: Mutex::new(Arc::new(BatchBuffer::new(0))),
        }
    }
}

impl BatchBuffers {
    /// Places a frame, of which these are the parts. `None` for one so long that a copy of it would cost more than
    /// it saves.
    pub(super) fn place(&self, parts: &[&[u8]]) -> Option<BatchSlice> {
        let length = parts.iter().map(|part| part.len()).sum();
        if length > BATCH_BUFFER_BYTES / 4 {
            return None;
        }
        let mut current = self.current.lock();
        loop {
            if let Some(range) = current.place(parts, length) {
                let buffer = current.clone();
                return Some(BatchSlice { buffer, range });
            }
            *current = Arc::new(BatchBuffer::new(length));
        }
    }
}

impl fmt::Debug for BatchSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchSlice({:?})", self.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_range() {
        let buffers = BatchBuffers::default();
        let mut first = buffers.place(&[b"ab"]).unwrap();
        let second = buffers.place(&[b"c"]).unwrap();
        let third = buffers.place(&[b"de"]).unwrap();
        assert!(!first.clone().extend(&third), "the second lies between");
        assert!(first.extend(&second));
        assert!(first.extend(&third));
        assert_eq!(first.bytes(), b"abcde");
        assert_eq!(second.bytes(), b"c");
    }

    #[test]
    fn a_sheet_that_was_read_takes_no_more() {
        let buffers = BatchBuffers::default();
        let mut before = buffers.place(&[b"ab"]).unwrap();
        before.bytes();
        let after = buffers.place(&[b"c"]).unwrap();
        assert!(!before.extend(&after));
        assert_eq!(after.bytes(), b"c");
        assert_eq!(&before.copied()[..], b"ab");
    }

    #[test]
    fn a_full_sheet_is_followed_by_another() {
        let buffers = BatchBuffers::default();
        let frame = vec![7; BATCH_BUFFER_BYTES / 4];
        let placed: Vec<_> = (0..9).map(|_| buffers.place(&[&frame]).unwrap()).collect();
        assert!(placed.iter().all(|placed| placed.bytes() == frame));
        assert!(buffers.place(&[&frame, b"7"]).is_none());
    }
}
