//! The frames of a batch, one after another in one buffer.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

/// Bytes after which a new sheet is begun.
const SHEET_BYTES: usize = 64 << 10;

/// Bytes that a sheet has room for at first: most batches are small.
const FIRST_BYTES: usize = 1 << 10;

/// Frames in the order in which they were published, side by side.
///
/// Subscribers of the same channels get the same frames one after another. A queue of such frames is one
/// range of the sheet: a push moves the end of the range, and the flush is one plain write. A sheet takes
/// frames until somebody reads it, and is only read from then on.
struct Sheet {
    open: Mutex<BytesMut>,
    closed: OnceLock<Bytes>,
}

impl Sheet {
    fn new(first: usize) -> Self {
        Self {
            open: Mutex::new(BytesMut::with_capacity(first.max(FIRST_BYTES))),
            closed: OnceLock::new(),
        }
    }

    /// `None` when the sheet takes no more.
    fn place(&self, parts: &[&[u8]], length: usize) -> Option<Range<u32>> {
        let mut open = self.open.lock();
        let (start, end) = (open.len(), open.len() + length);
        // Closed under the same lock.
        if self.closed.get().is_some() || (end > SHEET_BYTES && start > 0) {
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

/// Some frames that lie side by side on a sheet.
#[derive(Clone)]
pub(super) struct Placed {
    sheet: Arc<Sheet>,
    range: Range<u32>,
}

impl Placed {
    pub(super) fn len(&self) -> usize {
        self.range.len()
    }

    /// Takes `next` in, if it lies right behind on the same sheet.
    pub(super) fn extend(&mut self, next: &Self) -> bool {
        let joins = self.range.end == next.range.start && Arc::ptr_eq(&self.sheet, &next.sheet);
        if joins {
            self.range.end = next.range.end;
        }
        joins
    }

    /// The frames; the sheet takes no more from now on.
    pub(super) fn bytes(&self) -> &[u8] {
        let (start, end) = (self.range.start as usize, self.range.end as usize);
        &self.sheet.bytes()[start..end]
    }

    /// The frames without the rest of the sheet, for a queue that may have to wait long.
    pub(super) fn copied(&self) -> Bytes {
        Bytes::copy_from_slice(self.bytes())
    }
}

/// Places frames, on a new sheet whenever one is full or was read.
pub(super) struct Sheets {
    current: Mutex<Arc<Sheet>>,
}

impl Default for Sheets {
    fn default() -> Self {
        Self {
            current: Mutex::new(Arc::new(Sheet::new(0))),
        }
    }
}

impl Sheets {
    /// Places a frame, of which these are the parts. `None` for one so long that a copy of it would cost more than
    /// it saves.
    pub(super) fn place(&self, parts: &[&[u8]]) -> Option<Placed> {
        let length = parts.iter().map(|part| part.len()).sum();
        if length > SHEET_BYTES / 4 {
            return None;
        }
        let mut current = self.current.lock();
        loop {
            if let Some(range) = current.place(parts, length) {
                let sheet = current.clone();
                return Some(Placed { sheet, range });
            }
            *current = Arc::new(Sheet::new(length));
        }
    }
}

impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Placed({:?})", self.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_range() {
        let sheets = Sheets::default();
        let mut first = sheets.place(&[b"ab"]).unwrap();
        let second = sheets.place(&[b"c"]).unwrap();
        let third = sheets.place(&[b"de"]).unwrap();
        assert!(!first.clone().extend(&third), "the second lies between");
        assert!(first.extend(&second));
        assert!(first.extend(&third));
        assert_eq!(first.bytes(), b"abcde");
        assert_eq!(second.bytes(), b"c");
    }

    #[test]
    fn a_sheet_that_was_read_takes_no_more() {
        let sheets = Sheets::default();
        let mut before = sheets.place(&[b"ab"]).unwrap();
        before.bytes();
        let after = sheets.place(&[b"c"]).unwrap();
        assert!(!before.extend(&after));
        assert_eq!(after.bytes(), b"c");
        assert_eq!(&before.copied()[..], b"ab");
    }

    #[test]
    fn a_full_sheet_is_followed_by_another() {
        let sheets = Sheets::default();
        let frame = vec![7; SHEET_BYTES / 4];
        let placed: Vec<_> = (0..9).map(|_| sheets.place(&[&frame]).unwrap()).collect();
        assert!(placed.iter().all(|placed| placed.bytes() == frame));
        assert!(sheets.place(&[&frame, b"7"]).is_none());
    }
}
