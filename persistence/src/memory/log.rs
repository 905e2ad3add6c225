//! The log of a shard: records one behind the other, in segments of one size. A record may go through several.

use std::{collections::VecDeque, ops::Range};

use polywire_core::Timetoken;

use super::{
    pool::Pool,
    record::{self, HEAD, Head, NAME_FROM},
};

/// Where a record begins; counted on from segment to segment.
pub(super) type At = u64;

#[derive(Debug, Default)]
pub(super) struct Log {
    segments: VecDeque<Segment>,
    /// Where the first segment begins.
    start: At,
    /// Where the next record begins.
    end: At,
    /// Segments that have memory.
    held: usize,
    /// Bytes of records that are kept.
    live: usize,
}

#[derive(Debug)]
struct Segment {
    /// None when no record that is kept has bytes here, and more is not appended.
    bytes: Option<Vec<u8>>,
    /// Bytes of records that are kept.
    live: usize,
    /// Where the first record begins that begins here.
    first: Option<At>,
    /// Where the record begins that the first byte belongs to.
    reaches: At,
    /// About when its first record came.
    since: Timetoken,
}

impl Log {
    /// Bytes of memory that it has.
    pub(super) fn bytes(&self, pool: &Pool) -> usize {
        self.held * pool.size() + self.segments.capacity() * size_of::<Segment>()
    }

    /// Bytes of it that are of no use.
    pub(super) fn dead(&self, pool: &Pool) -> usize {
        let unwritten = match (self.end as usize) & (pool.size() - 1) {
            0 => 0,
            used => pool.size() - used,
        };
        self.held * pool.size() - self.live - unwritten
    }

    /// About when the oldest record came.
    pub(super) fn since(&self) -> Option<Timetoken> {
        self.segments.front().map(|segment| segment.since)
    }

    /// True when most of its places have no memory.
    pub(super) fn is_stretched(&self) -> bool {
        self.segments.len() > 2 * self.held + 16
    }

    /// Appends a record that came at `since`.
    pub(super) fn append(&mut self, record: &[u8], since: Timetoken, pool: &Pool) -> At {
        let at = self.end;
        let mut rest = record;
        while !rest.is_empty() {
            let used = (self.end as usize) & (pool.size() - 1);
            if used == 0 {
                self.held += 1;
                self.segments.push_back(Segment {
                    bytes: Some(pool.take()),
                    live: 0,
                    first: None,
                    reaches: at,
                    since,
                });
            }
            let (part, behind) = rest.split_at(rest.len().min(pool.size() - used));
            if let Some(segment) = self.segments.back_mut() {
                if self.end == at {
                    segment.first.get_or_insert(at);
                }
                segment
                    .bytes
                    .get_or_insert_default()
                    .extend_from_slice(part);
                segment.live += part.len();
            }
            self.end += part.len() as u64;
            rest = behind;
        }
        self.live += record.len();
        at
    }

    /// A record is kept no more. Returns its head.
    pub(super) fn remove(&mut self, at: At, pool: &Pool) -> Option<Head> {
        let head = self.head(at, pool)?;
        let len = head.len as usize;
        self.live -= len;
        for (index, range) in self.parts(at, len, pool) {
            let is_open = self.end < self.begin_of(index + 1, pool);
            let segment = &mut self.segments[index];
            segment.live -= range.len();
            if segment.live == 0 && !is_open {
                self.release(index, pool);
            }
        }
        if self.live == 0 {
            (0..self.segments.len()).for_each(|index| self.release(index, pool));
            self.end = self.end.next_multiple_of(pool.size() as u64);
        }
        while self.segments.front().is_some_and(|s| s.bytes.is_none()) {
            self.segments.pop_front();
            self.start += pool.size() as u64;
        }
        if self.segments.capacity() > 64 && self.segments.len() < self.segments.capacity() / 4 {
            self.segments.shrink_to(2 * self.segments.len());
        }
        Some(head)
    }

    fn release(&mut self, index: usize, pool: &Pool) {
        if let Some(bytes) = self.segments[index].bytes.take() {
            self.held -= 1;
            pool.give(bytes);
        }
    }

    /// The bytes of a record that is kept.
    pub(super) fn record(&self, at: At, pool: &Pool) -> Vec<u8> {
        let len = self.head(at, pool).map_or(0, |head| head.len as usize);
        self.copy(at, len, pool)
    }

    /// The name in a record that is kept.
    pub(super) fn name(&self, at: At, pool: &Pool) -> Vec<u8> {
        let len = self.head(at, pool).map_or(0, |head| head.len as usize);
        let begin = self.copy(at, NAME_FROM.min(len), pool);
        let Some(name) = record::name_len(&begin) else {
            return Vec::new();
        };
        self.copy(at + HEAD as u64, name.min(len - HEAD), pool)
    }

    /// True when a record that is kept has a name. Whether a client wrote it as a number makes no difference.
    pub(super) fn has_name(&self, at: At, name: &[u8], pool: &Pool) -> bool {
        let mut rest = name;
        self.pieces(at + HEAD as u64, name.len(), pool)
            .all(|piece| {
                let (expected, behind) = rest.split_at(piece.len());
                let is_same = match (rest.len() == name.len(), expected, piece) {
                    (true, [tag, expected @ ..], [other, piece @ ..]) => {
                        tag.eq_ignore_ascii_case(other) && expected == piece
                    }
                    _ => expected == piece,
                };
                rest = behind;
                is_same
            })
            && rest.is_empty()
    }

    fn copy(&self, at: At, len: usize, pool: &Pool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        for piece in self.pieces(at, len, pool) {
            bytes.extend_from_slice(piece);
        }
        bytes
    }

    /// Bytes of a record that is kept, as they are in segments; fewer where the log ends.
    fn pieces(&self, at: At, len: usize, pool: &Pool) -> impl Iterator<Item = &[u8]> {
        let parts = self.parts(at, len, pool);
        parts.map_while(|(index, range)| self.segments.get(index)?.bytes.as_ref()?.get(range))
    }

    /// The head of a record; none where it is not there any more.
    fn head(&self, at: At, pool: &Pool) -> Option<Head> {
        if at < self.start {
            return None;
        }
        let mut head = [0; HEAD];
        let mut filled = 0;
        for (index, range) in self.parts(at, HEAD, pool) {
            let bytes = self.segments.get(index)?.bytes.as_ref()?.get(range)?;
            head[filled..][..bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        }
        Some(Head::read(&head))
    }

    /// The records that have bytes in a segment, as far as they are still there. What is kept is among them.
    pub(super) fn records(&self, index: usize, pool: &Pool) -> Vec<(At, Head)> {
        let Some(segment) = self.segments.get(index) else {
            return Vec::new();
        };
        let begin = self.begin_of(index, pool);
        let reaching = Some(segment.reaches).filter(|at| *at < begin);
        let reaching = reaching.and_then(|at| Some((at, self.head(at, pool)?)));
        let mut records: Vec<_> = reaching.into_iter().collect();
        let mut next = segment.first;
        while let Some(at) = next.filter(|at| *at < begin + pool.size() as u64 && *at < self.end) {
            // One without a head goes on in a segment that is gone.
            let Some(head) = self.head(at, pool) else {
                break;
            };
            records.push((at, head));
            next = Some(at + u64::from(head.len));
        }
        records
    }

    /// The segment with the fewest bytes that are kept, and how many these are; not the one that is appended to.
    pub(super) fn emptiest(&self, pool: &Pool) -> Option<(usize, usize)> {
        let full = (self.end - self.start) as usize / pool.size();
        let segments = self.segments.iter().take(full).enumerate();
        let held = segments.filter(|(_, segment)| segment.bytes.is_some());
        held.map(|(index, segment)| (index, segment.live))
            .min_by_key(|(_, live)| *live)
    }

    fn begin_of(&self, index: usize, pool: &Pool) -> At {
        self.start + (index * pool.size()) as u64
    }

    /// The segments that a record goes through, and what it has of each.
    fn parts(
        &self,
        at: At,
        len: usize,
        pool: &Pool,
    ) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let (size, mut from) = (pool.size(), (at - self.start) as usize);
        let end = from + len;
        std::iter::from_fn(move || {
            let (index, begin) = (from / size, from % size);
            let len = (size - begin).min(end - from);
            from += len;
            (len > 0).then_some((index, begin..begin + len))
        })
    }
}
