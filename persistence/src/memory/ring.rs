//! The rings of channels: where what is kept of each is. All is in cells.
//!
//! ```text
//! ring:  <hash> <last epoch> <last number> <last timetoken> <bytes of payload> <entries> <first> <name> <entry> <entry>
//! block: <entry> <entry> <entry> <entry> <entry>
//! ```
//!
//! Two entries have room in the cell of their ring. More are in blocks, the first of which begins with so many that are gone.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
};

use foldhash::fast::RandomState;
use polywire_core::{Epoch, Order, Position, Query, Seq, Span, Timetoken};

use super::{
    cells::{CellId, Cells, WORDS},
    log::At,
    pool::Pool,
};

const HASH: usize = 0;
const EPOCH: usize = 1;
const SEQ: usize = 2;
const TIMETOKEN: usize = 3;
const PAYLOAD: usize = 4;
const LEN: usize = 5;
const FIRST: usize = 6;
const NAME: usize = 7;
const ENTRIES: usize = 8;

/// Words of an entry.
const ENTRY: usize = 3;

/// Entries in the cell of a ring, and in a block.
const INLINE: usize = (WORDS - ENTRIES) / ENTRY;
const BLOCK: usize = WORDS / ENTRY;

/// What a list of blocks costs besides the blocks, with its place in the table.
const LIST: usize = 128;

/// A publication, and where its record is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) timetoken: Timetoken,
    pub(super) expires: Timetoken,
    pub(super) at: At,
}

/// The cells of the rings of a shard.
#[derive(Debug, Default)]
pub(super) struct Rings {
    cells: Cells,
    /// The blocks of rings that have some.
    blocks: HashMap<CellId, VecDeque<CellId>, RandomState>,
    block_count: usize,
}

/// A ring to be read.
#[derive(Clone, Copy)]
pub(super) struct Ring<'r> {
    cells: &'r Cells,
    pool: &'r Pool,
    cell: CellId,
    blocks: Option<&'r VecDeque<CellId>>,
}

impl Rings {
    /// Bytes of memory that they have.
    pub(super) fn bytes(&self, pool: &Pool) -> usize {
        // What is not in cells counts twice: what one thread frees another may not use again.
        let lists = self.blocks.len() * LIST + self.block_count * size_of::<CellId>();
        self.cells.bytes(pool) + 2 * lists
    }

    pub(super) fn get<'r>(&'r self, ring: CellId, pool: &'r Pool) -> Ring<'r> {
        Ring {
            cells: &self.cells,
            pool,
            cell: ring,
            blocks: self.blocks.get(&ring),
        }
    }

    /// A ring without entries.
    pub(super) fn add(&mut self, hash: u64, pool: &Pool) -> CellId {
        let ring = self.cells.allocate(pool);
        self.cells.set(ring, HASH, hash, pool);
        ring
    }

    /// Takes away a ring without entries.
    pub(super) fn remove(&mut self, ring: CellId, pool: &Pool) {
        self.cells.free(ring, pool);
    }

    pub(super) fn set_last(&mut self, ring: CellId, last: Position, pool: &Pool) {
        self.cells.set(ring, EPOCH, last.epoch.0, pool);
        self.cells.set(ring, SEQ, last.seq.0, pool);
        self.cells.set(ring, TIMETOKEN, last.timetoken.0, pool);
    }

    /// Sets where the record of its name is, while it has no entries.
    pub(super) fn set_name(&mut self, ring: CellId, name: Option<At>, pool: &Pool) {
        let name = name.map_or(0, |at| at + 1);
        self.cells.set(ring, NAME, name, pool);
    }

    /// Bytes of payload came.
    pub(super) fn add_payload(&mut self, ring: CellId, bytes: u32, pool: &Pool) {
        let payload = self.cells.get(ring, PAYLOAD, pool) + u64::from(bytes);
        self.cells.set(ring, PAYLOAD, payload, pool);
    }

    /// Bytes of payload went.
    pub(super) fn take_payload(&mut self, ring: CellId, bytes: u32, pool: &Pool) {
        let payload = self.cells.get(ring, PAYLOAD, pool) - u64::from(bytes);
        self.cells.set(ring, PAYLOAD, payload, pool);
    }

    pub(super) fn push(&mut self, ring: CellId, entry: Entry, pool: &Pool) {
        let (len, first) = self.len_and_first(ring, pool);
        if len == INLINE && !self.blocks.contains_key(&ring) {
            let there: Vec<_> = self.get(ring, pool).entries(0..len).collect();
            self.blocks.insert(ring, VecDeque::with_capacity(1));
            self.set_len_and_first(ring, 0, 0, pool);
            for entry in there {
                self.push(ring, entry, pool);
            }
            return self.push(ring, entry, pool);
        }
        if let Some(blocks) = self.blocks.get_mut(&ring)
            && (first + len) / BLOCK >= blocks.len()
        {
            blocks.push_back(self.cells.allocate(pool));
            self.block_count += 1;
        }
        self.set_len_and_first(ring, len + 1, first, pool);
        self.set(ring, len, entry, pool);
    }

    /// Takes away the oldest entry.
    pub(super) fn pop(&mut self, ring: CellId, pool: &Pool) {
        let (len, first) = self.len_and_first(ring, pool);
        if let Some(blocks) = self.blocks.get_mut(&ring) {
            let mut first = first + 1;
            if first == BLOCK || len <= 1 {
                first = 0;
                self.block_count -= 1;
                if let Some(block) = blocks.pop_front() {
                    self.cells.free(block, pool);
                }
            }
            if blocks.capacity() > 16 && blocks.len() < blocks.capacity() / 4 {
                blocks.shrink_to(2 * blocks.len());
            }
            if len <= 1 {
                self.blocks.remove(&ring);
            }
            self.shrink();
            return self.set_len_and_first(ring, len.saturating_sub(1), first, pool);
        }
        let left: Vec<_> = self.get(ring, pool).entries(1.min(len)..len).collect();
        self.set_len_and_first(ring, left.len(), 0, pool);
        for (place, entry) in left.into_iter().enumerate() {
            self.set(ring, place, entry, pool);
        }
    }

    fn shrink(&mut self) {
        if self.blocks.capacity() > 16 && self.blocks.len() < self.blocks.capacity() / 4 {
            self.blocks.shrink_to(2 * self.blocks.len());
        }
    }

    /// Takes away the entries at some places; returns them.
    pub(super) fn drain(&mut self, ring: CellId, places: Range<usize>, pool: &Pool) -> Vec<Entry> {
        let mut all: Vec<_> = self
            .get(ring, pool)
            .entries(0..self.len(ring, pool))
            .collect();
        let gone = all.drain(places).collect();
        for block in self.blocks.remove(&ring).unwrap_or_default() {
            self.cells.free(block, pool);
            self.block_count -= 1;
        }
        self.shrink();
        self.set_len_and_first(ring, 0, 0, pool);
        for entry in all {
            self.push(ring, entry, pool);
        }
        gone
    }

    /// The record of an entry was moved.
    pub(super) fn moved(&mut self, ring: CellId, timetoken: Timetoken, at: At, pool: &Pool) {
        let found = self.get(ring, pool);
        if let Some(place) = found.place(timetoken) {
            let entry = Entry {
                at,
                ..found.entry(place)
            };
            self.set(ring, place, entry, pool);
        }
    }

    fn len(&self, ring: CellId, pool: &Pool) -> usize {
        self.len_and_first(ring, pool).0
    }

    fn len_and_first(&self, ring: CellId, pool: &Pool) -> (usize, usize) {
        let word = |word| self.cells.get(ring, word, pool) as usize;
        (word(LEN), word(FIRST))
    }

    fn set_len_and_first(&mut self, ring: CellId, len: usize, first: usize, pool: &Pool) {
        self.cells.set(ring, LEN, len as u64, pool);
        self.cells.set(ring, FIRST, first as u64, pool);
    }

    fn set(&mut self, ring: CellId, place: usize, entry: Entry, pool: &Pool) {
        let (cell, word) = self.get(ring, pool).word(place);
        self.cells.set(cell, word, entry.timetoken.0, pool);
        self.cells.set(cell, word + 1, entry.expires.0, pool);
        self.cells.set(cell, word + 2, entry.at, pool);
    }
}

impl<'r> Ring<'r> {
    fn value(self, word: usize) -> u64 {
        self.cells.get(self.cell, word, self.pool)
    }

    /// The hash of its target.
    pub(super) fn hash(self) -> u64 {
        self.value(HASH)
    }

    pub(super) fn last(self) -> Position {
        Position {
            epoch: Epoch(self.value(EPOCH)),
            seq: Seq(self.value(SEQ)),
            timetoken: Timetoken(self.value(TIMETOKEN)),
        }
    }

    /// Bytes of payload.
    pub(super) fn payload(self) -> u64 {
        self.value(PAYLOAD)
    }

    pub(super) fn len(self) -> usize {
        self.value(LEN) as usize
    }

    /// Where the record of its name is, while it has no entries.
    pub(super) fn name(self) -> Option<At> {
        self.value(NAME).checked_sub(1)
    }

    /// Where a record with its name is.
    pub(super) fn named_at(self) -> Option<At> {
        match self.len() {
            0 => self.name(),
            len => Some(self.entry(len - 1).at),
        }
    }

    pub(super) fn oldest(self) -> Option<Entry> {
        (self.len() > 0).then(|| self.entry(0))
    }

    /// Where an entry stands.
    fn word(self, place: usize) -> (CellId, usize) {
        match self.blocks {
            Some(blocks) => {
                let place = self.value(FIRST) as usize + place;
                (blocks[place / BLOCK], place % BLOCK * ENTRY)
            }
            None => (self.cell, ENTRIES + place * ENTRY),
        }
    }

    fn entry(self, place: usize) -> Entry {
        let (cell, word) = self.word(place);
        let value = |offset| self.cells.get(cell, word + offset, self.pool);
        Entry {
            timetoken: Timetoken(value(0)),
            expires: Timetoken(value(1)),
            at: value(2),
        }
    }

    pub(super) fn entries(self, places: Range<usize>) -> impl DoubleEndedIterator<Item = Entry> {
        places.map(move |place| self.entry(place))
    }

    /// The first place whose entry is not so any more.
    fn partition_point(self, is: impl Fn(Timetoken) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            let (cell, word) = self.word(middle);
            if is(Timetoken(self.cells.get(cell, word, self.pool))) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    /// The places that a span has.
    pub(super) fn places(self, span: Span) -> Range<usize> {
        if span.is_empty() {
            return 0..0;
        }
        self.partition_point(|timetoken| timetoken < span.from)
            ..self.partition_point(|timetoken| timetoken <= span.to)
    }

    /// What a query asks for, as far as it has not expired; without its limit.
    pub(super) fn select(self, query: &Query, now: Timetoken) -> impl Iterator<Item = Entry> {
        let (places, order) = (self.places(query.span), query.order);
        let in_order = (0..places.len()).map(move |n| match order {
            Order::OldestFirst => places.start + n,
            Order::NewestFirst => places.end - 1 - n,
        });
        let entries = in_order.map(move |place| self.entry(place));
        entries.filter(move |entry| entry.expires > now)
    }

    fn place(self, timetoken: Timetoken) -> Option<usize> {
        let place = self.partition_point(|other| other < timetoken);
        let is_there = place < self.len() && self.entry(place).timetoken == timetoken;
        is_there.then_some(place)
    }

    /// True when a record is that of a publication that is kept.
    pub(super) fn has(self, timetoken: Timetoken, at: At) -> bool {
        // What is asked for most often goes next.
        let is = |place| self.entry(place).at == at;
        self.oldest().is_some_and(|oldest| oldest.at == at) || self.place(timetoken).is_some_and(is)
    }

    pub(super) fn shows(self, timetoken: Timetoken, now: Timetoken) -> bool {
        let place = self.place(timetoken);
        place.is_some_and(|place| self.entry(place).expires > now)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn entry(n: u64) -> Entry {
        Entry {
            timetoken: Timetoken(n),
            expires: Timetoken(n + 1),
            at: n + 2,
        }
    }

    proptest! {
        /// Rings are queues, whatever is done to them, and what they no longer need is free.
        #[test]
        fn rings_are_queues(steps in prop::collection::vec((0_usize..3, 0_u8..10, 0_usize..30), 1..300)) {
            let pool = Pool::new(1 << 20);
            let mut rings = Rings::default();
            let cells: Vec<_> = (0..3).map(|n| rings.add(n, &pool)).collect();
            let mut expected = vec![VecDeque::new(); 3];
            for (n, (which, what, count)) in steps.into_iter().enumerate() {
                let (ring, queue) = (cells[which], &mut expected[which]);
                match what {
                    0 => {
                        let end = queue.len().min(count);
                        rings.drain(ring, end / 2..end, &pool);
                        queue.drain(end / 2..end);
                    }
                    1..5 => for _ in 0..count.min(queue.len()) {
                        rings.pop(ring, &pool);
                        queue.pop_front();
                    },
                    _ => for _ in 0..count {
                        let next = queue.back().map_or(n as u64 * 100, |last| last + 1);
                        rings.push(ring, entry(next), &pool);
                        queue.push_back(next);
                    },
                }
                let read = rings.get(ring, &pool);
                let there: Vec<_> = read.entries(0..read.len()).map(|e| e.timetoken.0).collect();
                prop_assert_eq!(&there, &Vec::from(queue.clone()));
                if let Some(middle) = queue.get(queue.len() / 2) {
                    prop_assert!(read.has(Timetoken(*middle), middle + 2));
                    prop_assert!(!read.has(Timetoken(*middle), middle + 3));
                }
            }
            for (n, ring) in cells.into_iter().enumerate() {
                prop_assert_eq!(rings.get(ring, &pool).hash(), n as u64);
                rings.drain(ring, 0..expected[n].len(), &pool);
                rings.remove(ring, &pool);
            }
            prop_assert_eq!((rings.bytes(&pool), rings.block_count), (0, 0));
        }
    }
}
