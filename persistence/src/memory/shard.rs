//! A part of the channels, under one lock.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::Mutex;
use polywire_core::{
    Annotation, BinaryError, HistoryError, Publication, Query, Rule, Span, Target, Timetoken,
};

use super::{
    attached::Attached,
    cells::CellId,
    log::{At, Log},
    pool::Pool,
    record::{self, Head},
    ring::{Entry, Ring, Rings},
};

/// Bytes that are copied at a time, so that publishers need not wait for readers.
const COPIED_MAX: usize = 256 << 10;

/// Bytes of a record that there is room for at all times.
const SCRATCH: usize = 64 << 10;

/// Some of the channels.
#[derive(Debug)]
pub(super) struct Shard {
    channels: Mutex<Channels>,
    /// About when the oldest publication came; to be looked at without the lock.
    oldest: AtomicU64,
    /// Bytes in segments that are of no use; likewise.
    dead: AtomicUsize,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            channels: Mutex::default(),
            oldest: AtomicU64::new(u64::MAX),
            dead: AtomicUsize::new(0),
        }
    }
}

impl Shard {
    pub(super) fn look<T>(&self, look: impl FnOnce(&Channels) -> T) -> T {
        look(&self.channels.lock())
    }

    /// Changes what is there. Returns how many more bytes it is then.
    pub(super) fn change<T>(
        &self,
        pool: &Pool,
        change: impl FnOnce(&mut Channels) -> T,
    ) -> (T, isize) {
        let mut channels = self.channels.lock();
        let before = channels.bytes(pool);
        let result = change(&mut channels);
        let more = channels.bytes(pool).wrapping_sub(before).cast_signed();
        let oldest = channels.log.since().unwrap_or(Timetoken(u64::MAX));
        self.oldest.store(oldest.0, Ordering::Relaxed);
        self.dead.store(channels.log.dead(pool), Ordering::Relaxed);
        (result, more)
    }

    /// About when the oldest publication came; the end of time when there is none.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }

    /// Bytes in segments that are of no use.
    pub(super) fn dead(&self) -> usize {
        self.dead.load(Ordering::Relaxed)
    }
}

/// The channels of a shard: their rings, and the log that has their publications.
///
/// A channel without publications has the record of a name instead, and is forgotten when this is the oldest.
#[derive(Debug, Default)]
pub(super) struct Channels {
    table: HashTable<CellId>,
    rings: Rings,
    log: Log,
    attached: HashMap<CellId, Attached, RandomState>,
    /// Bytes of what is attached.
    attached_bytes: usize,
    /// When the last publication came.
    last: Timetoken,
    scratch: BytesMut,
}

/// A part of what was asked for.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) records: Vec<(Bytes, Vec<Annotation>)>,
    /// True when there is more.
    pub(super) more: bool,
}

impl Channels {
    /// Bytes of memory that they have.
    fn bytes(&self, pool: &Pool) -> usize {
        self.log.bytes(pool)
            + self.rings.bytes(pool)
            + 2 * self.table.allocation_size()
            + self.attached_bytes
    }

    /// The channel of a name.
    fn find(&self, name: &[u8], hash: u64, pool: &Pool) -> Option<CellId> {
        let is = |ring: &CellId| {
            let ring = self.rings.get(*ring, pool);
            let at = ring.named_at();
            ring.hash() == hash && at.is_some_and(|at| self.log.has_name(at, name, pool))
        };
        self.table.find(hash, is).copied()
    }

    /// The ring of a channel.
    pub(super) fn ring<'c>(&'c self, name: &[u8], hash: u64, pool: &'c Pool) -> Option<Ring<'c>> {
        let ring = self.find(name, hash, pool)?;
        Some(self.rings.get(ring, pool))
    }

    /// The channels that have something stored.
    pub(super) fn targets<'c>(&'c self, pool: &'c Pool) -> impl Iterator<Item = Target> + 'c {
        let rings = self
            .table
            .iter()
            .map(move |ring| self.rings.get(*ring, pool));
        let stored = rings.filter_map(|ring| ring.oldest());
        stored.filter_map(move |entry| record::target(self.log.name(entry.at, pool)).ok())
    }

    /// Adds a publication and takes away what the rule does not keep.
    pub(super) fn push(
        &mut self,
        publication: &Publication,
        hash: u64,
        rule: &Rule,
        pool: &Pool,
    ) -> Result<(), BinaryError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = record::encode(publication, hash, &mut scratch);
        if outcome.is_ok() {
            self.append(publication, &scratch, hash, rule, pool);
        }
        if scratch.capacity() <= SCRATCH {
            self.scratch = scratch;
        }
        outcome
    }

    fn append(
        &mut self,
        publication: &Publication,
        record: &[u8],
        hash: u64,
        rule: &Rule,
        pool: &Pool,
    ) {
        let position = publication.position();
        let found = self.find(record::name_of(record).unwrap_or_default(), hash, pool);
        let ring = found.unwrap_or_else(|| {
            let ring = self.rings.add(hash, pool);
            let rings = &self.rings;
            self.table
                .insert_unique(hash, ring, |ring| rings.get(*ring, pool).hash());
            ring
        });
        self.last = position.timetoken;
        let ttl = publication
            .retention
            .ttl
            .into_iter()
            .chain(rule.age_max)
            .min();
        let expires = ttl.map_or(u64::MAX, |ttl| {
            position.timetoken.0.saturating_add(ticks(ttl))
        });
        let entry = Entry {
            timetoken: position.timetoken,
            expires: Timetoken(expires),
            at: self.log.append(record, self.last, pool),
        };
        let name = self.rings.get(ring, pool).name();
        self.rings.set_last(ring, position, pool);
        self.rings.push(ring, entry, pool);
        // A record has fewer bytes than that.
        let payload = u32::try_from(publication.payload.len()).unwrap_or(u32::MAX);
        self.rings.add_payload(ring, payload, pool);
        if let Some(name) = name {
            self.rings.set_name(ring, None, pool);
            self.log.remove(name, pool);
        }
        while self.has_too_much(ring, rule, pool) {
            self.pop(ring, pool);
        }
        self.tighten(pool);
    }

    fn has_too_much(&self, ring: CellId, rule: &Rule, pool: &Pool) -> bool {
        let ring = self.rings.get(ring, pool);
        let Some(oldest) = ring.oldest() else {
            return false;
        };
        oldest.expires <= ring.last().timetoken
            || rule.entries_max.is_some_and(|max| ring.len() > max)
            || rule.bytes_max.is_some_and(|max| ring.payload() > max)
    }

    /// Takes away the oldest publication of a channel; returns where it was.
    fn pop(&mut self, ring: CellId, pool: &Pool) -> Option<At> {
        let read = self.rings.get(ring, pool);
        let entry = read.oldest()?;
        if read.len() == 1 {
            self.keep_name(ring, entry.at, pool);
        }
        self.rings.pop(ring, pool);
        self.gone(ring, entry, pool);
        Some(entry.at)
    }

    /// An entry is not in its ring any more.
    fn gone(&mut self, ring: CellId, entry: Entry, pool: &Pool) {
        if let Some(head) = self.log.remove(entry.at, pool) {
            self.rings.take_payload(ring, head.payload, pool);
        }
        self.change_attached(ring, |attached| attached.detach(entry.timetoken));
    }

    /// Writes down the name of a channel that has no publications from now on; a record at `at` has it.
    fn keep_name(&mut self, ring: CellId, at: At, pool: &Pool) {
        let read = self.rings.get(ring, pool);
        let name = self.log.name(at, pool);
        let mut record = BytesMut::new();
        // It was as long in the record where it comes from.
        let _ = record::encode_name(&name, read.hash(), read.last(), &mut record);
        let at = self.log.append(&record, self.last, pool);
        self.rings.set_name(ring, Some(at), pool);
    }

    /// Takes away the publications of a span. Returns how many these were.
    pub(super) fn delete(&mut self, name: &[u8], hash: u64, span: Span, pool: &Pool) -> u64 {
        let Some(ring) = self.find(name, hash, pool) else {
            return 0;
        };
        let read = self.rings.get(ring, pool);
        let (places, len) = (read.places(span), read.len());
        if let Some(at) = read.named_at()
            && len > 0
            && places.len() == len
        {
            self.keep_name(ring, at, pool);
        }
        let gone = self.rings.drain(ring, places, pool);
        for entry in &gone {
            self.gone(ring, *entry, pool);
        }
        self.tighten(pool);
        gone.len() as u64
    }

    /// Keeps the places of the log in proportion to what it has.
    fn tighten(&mut self, pool: &Pool) {
        while self.log.is_stretched() {
            self.clear(0, pool);
        }
    }

    /// A part of what is asked for of a channel, that is to be read on behind.
    pub(super) fn copy(
        &self,
        name: &[u8],
        hash: u64,
        query: &Query,
        now: Timetoken,
        pool: &Pool,
    ) -> Copied {
        let mut copied = Copied::default();
        let Some(cell) = self.find(name, hash, pool) else {
            return copied;
        };
        let attached = self.attached.get(&cell);
        let mut bytes = 0;
        for entry in self.rings.get(cell, pool).select(query, now) {
            let is_full = bytes > COPIED_MAX || copied.records.len() >= query.limit;
            if is_full {
                copied.more = true;
                break;
            }
            let record = self.log.record(entry.at, pool);
            bytes += record.len();
            let attached = attached.map_or(&[][..], |attached| attached.of(entry.timetoken));
            copied.records.push((record.into(), attached.to_vec()));
        }
        copied
    }

    pub(super) fn annotate(
        &mut self,
        name: &[u8],
        hash: u64,
        publication: Timetoken,
        annotation: Annotation,
        now: Timetoken,
        pool: &Pool,
    ) -> Result<(), HistoryError> {
        let ring = self.find(name, hash, pool).ok_or(HistoryError::NotFound)?;
        if !self.rings.get(ring, pool).shows(publication, now) {
            return Err(HistoryError::NotFound);
        }
        self.attached.entry(ring).or_default();
        let done = self.change_attached(ring, |attached| attached.add(publication, annotation));
        done.unwrap_or(Err(HistoryError::NotFound))
    }

    pub(super) fn remove_annotation(
        &mut self,
        name: &[u8],
        hash: u64,
        publication: Timetoken,
        at: Timetoken,
        now: Timetoken,
        pool: &Pool,
    ) -> Option<Annotation> {
        let ring = self.find(name, hash, pool)?;
        if !self.rings.get(ring, pool).shows(publication, now) {
            return None;
        }
        self.change_attached(ring, |attached| attached.remove(publication, at))?
    }

    fn change_attached<T>(
        &mut self,
        ring: CellId,
        change: impl FnOnce(&mut Attached) -> T,
    ) -> Option<T> {
        let attached = self.attached.get_mut(&ring)?;
        self.attached_bytes -= attached.bytes();
        let result = change(attached);
        self.attached_bytes += attached.bytes();
        if attached.bytes() == 0 {
            self.attached.remove(&ring);
        }
        Some(result)
    }

    /// What was attached to the publications of a channel within a span, the newest first.
    pub(super) fn annotations(
        &self,
        name: &[u8],
        hash: u64,
        attached: Span,
        limit: usize,
        now: Timetoken,
        pool: &Pool,
    ) -> Vec<(Timetoken, Annotation)> {
        let Some(cell) = self.find(name, hash, pool) else {
            return Vec::new();
        };
        let ring = self.rings.get(cell, pool);
        let all = self.attached.get(&cell).into_iter();
        all.flat_map(|all| all.within(attached))
            .filter(|(publication, _)| ring.shows(*publication, now))
            .take(limit)
            .map(|(publication, annotation)| (publication, annotation.clone()))
            .collect()
    }

    /// The channel that keeps a record.
    fn keeper(&self, at: At, head: Head, pool: &Pool) -> Option<CellId> {
        let timetoken = head.position.timetoken;
        let keeps = |ring: &CellId| {
            let ring = self.rings.get(*ring, pool);
            ring.name() == Some(at) || ring.has(timetoken, at)
        };
        self.table.find(head.hash, keeps).copied()
    }

    /// Takes away the oldest segment with its publications, and channels that have had none since before. False when there is
    /// nothing.
    pub(super) fn evict(&mut self, pool: &Pool) -> bool {
        let oldest = self.log.records(0, pool);
        for (at, head) in &oldest {
            let Some(ring) = self.keeper(*at, *head, pool) else {
                continue;
            };
            if self.rings.get(ring, pool).name() == Some(*at) {
                self.forget(ring, *at, head.hash, pool);
                continue;
            }
            // What is older goes before it, wherever it was moved to.
            while self.pop(ring, pool).is_some_and(|popped| popped != *at) {}
        }
        !oldest.is_empty()
    }

    fn forget(&mut self, ring: CellId, name: At, hash: u64, pool: &Pool) {
        self.log.remove(name, pool);
        self.rings.remove(ring, pool);
        if let Ok(place) = self.table.find_entry(hash, |other| *other == ring) {
            place.remove();
        }
        if self.table.capacity() > 16 && self.table.len() < self.table.capacity() / 4 {
            let rings = &self.rings;
            let len = 2 * self.table.len();
            self.table
                .shrink_to(len, |ring| rings.get(*ring, pool).hash());
        }
    }

    /// Clears the segment with the fewest publications. False when it is nearly full.
    pub(super) fn compact(&mut self, pool: &Pool) -> bool {
        let emptiest = self.log.emptiest(pool);
        let Some((index, _)) = emptiest.filter(|(_, live)| *live <= pool.size() / 4 * 3) else {
            return false;
        };
        self.clear(index, pool);
        true
    }

    /// Appends what is kept in a segment anew, so that it is free.
    fn clear(&mut self, index: usize, pool: &Pool) {
        for (at, head) in self.log.records(index, pool) {
            let Some(ring) = self.keeper(at, head, pool) else {
                continue;
            };
            let record = self.log.record(at, pool);
            let to = self.log.append(&record, self.last, pool);
            if self.rings.get(ring, pool).name() == Some(at) {
                self.rings.set_name(ring, Some(to), pool);
            } else {
                self.rings.moved(ring, head.position.timetoken, to, pool);
            }
            self.log.remove(at, pool);
        }
    }
}

/// Ticks of a timetoken in a time.
pub(super) fn ticks(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX)
}
