//! The store: what the writer, the readers and the keeper share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use polywire_core::{
    Annotation, Durability, HistoryError, PersistResult, PersistenceError, Position, Publication,
    Rules, Span, Target, Timetoken,
};

use super::{
    channel::start,
    directory::Directory,
    index::{Index, behind_bytes},
    output::{Gone, Medium, is_full},
    record::Note,
    settings::DiskBounds,
};

/// Channels that are looked at under one lock.
const SLICE: usize = 1000;

/// What the writer, the readers and the keeper share.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) directory: Directory,
    pub(super) bounds: DiskBounds,
    pub(super) rules: Rules,
    /// Held for short steps only, never while a file is read or written.
    pub(super) index: Mutex<Index>,
    pub(super) medium: Box<dyn Medium>,
    /// Damage that was found, to be written down with the next batch.
    pub(super) found: Mutex<Vec<Note>>,
    /// The last write found the disk full.
    pub(super) full: AtomicBool,
    /// The files were deleted under the server: nothing more is kept.
    pub(super) gone: AtomicBool,
    pub(super) closed: AtomicBool,
}

/// How soon the writer has to write what is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    Soon,
    Now,
}

/// The time as a timetoken.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos() / 100).unwrap_or(u64::MAX)
}

impl Store {
    /// False when publications to `target` are acknowledged from memory.
    pub(super) fn waits(&self, target: &Target) -> bool {
        let durability = self.rules.of(target).durability;
        durability.unwrap_or(Durability::Synced) > Durability::Memory
    }

    /// The part of `span` that the age limit of the target leaves.
    pub(super) fn live(&self, target: &Target, span: Span, now: u64) -> Span {
        let from = Timetoken(start(self.rules.of(target), now));
        span.and((from..=Timetoken(u64::MAX)).into())
    }

    /// Takes a publication into memory, to be written soon. Says whether the writer has to be woken for it, and
    /// whether it has to make haste.
    pub(super) fn keep_in_memory(
        &self,
        publication: &Arc<Publication>,
    ) -> Result<Option<Haste>, PersistenceError> {
        let target = &publication.target;
        let rule = self.rules.of(target);
        let bytes = behind_bytes(publication);
        let index = &mut *self.index.lock();
        // Under the lock: the writer closes first, and then takes what is there for the last time.
        if self.closed.load(Ordering::Relaxed) {
            return Err(PersistenceError::Closed);
        }
        if self.gone.load(Ordering::Relaxed) {
            return Err(PersistenceError::Gone);
        }
        if index.behind_bytes + bytes > self.bounds.behind_bytes_max && !index.behind.is_empty() {
            return Err(if self.full.load(Ordering::Relaxed) {
                PersistenceError::Full
            } else {
                PersistenceError::store("the disk does not keep up; publish more slowly")
            });
        }
        let position = publication.position();
        index.observe(position.timetoken);
        index.with(target, |channel, segments| {
            channel.add_unwritten(publication.clone());
            channel.advance(position, None);
            channel.behind = true;
            channel.trim(rule, position.timetoken.0, segments);
        });
        let first = index.behind.is_empty();
        let half = self.bounds.behind_bytes_max / 2;
        let before = index.behind_bytes;
        index.behind_bytes += bytes;
        index.behind.push_back(publication.clone());
        if before < half && index.behind_bytes >= half {
            return Ok(Some(Haste::Now));
        }
        Ok(first.then_some(Haste::Soon))
    }

    pub(super) fn last_position(&self, target: &Target) -> Option<Position> {
        let index = self.index.lock();
        let channel = index.channels.get(target).filter(|c| !c.broken)?;
        // A head that was never set belongs to a channel of which only damage is known.
        (channel.head.seq.0 > 0).then_some(channel.head)
    }

    pub(super) fn last_timetoken(&self) -> Timetoken {
        Timetoken(self.index.lock().last_timetoken)
    }

    pub(super) fn count(&self, target: &Target, span: Span) -> u64 {
        let now = now();
        let span = self.live(target, span, now);
        let index = self.index.lock();
        let channel = index.channels.get(target);
        channel.map_or(0, |channel| channel.count(span, now))
    }

    pub(super) fn targets(&self, after: Option<&Target>, limit: usize) -> Vec<Target> {
        let mut found = Vec::new();
        let mut seen = after.cloned();
        while found.len() < limit {
            let last = self.some_targets(seen.as_ref(), limit, &mut found);
            if last.is_none() {
                break;
            }
            seen = last;
        }
        found
    }

    /// Looks at some channels behind `after`, so that the lock is not held long; returns the last one.
    fn some_targets(
        &self,
        after: Option<&Target>,
        limit: usize,
        found: &mut Vec<Target>,
    ) -> Option<Target> {
        use std::ops::Bound::{Excluded, Unbounded};
        let now = now();
        let start = (after.map_or(Unbounded, Excluded), Unbounded);
        let index = self.index.lock();
        let mut last = None;
        for (target, channel) in index.channels.range::<Target, _>(start).take(SLICE) {
            last = Some(target);
            if channel.count(self.live(target, Span::ALL, now), now) > 0 {
                found.push(target.clone());
            }
            if found.len() >= limit {
                break;
            }
        }
        last.cloned()
    }

    pub(super) fn annotations(
        &self,
        target: &Target,
        attached: Span,
        limit: usize,
    ) -> Vec<(Timetoken, Annotation)> {
        let now = now();
        let live = self.live(target, Span::ALL, now);
        let index = self.index.lock();
        let Some(channel) = index.channels.get(target) else {
            return Vec::new();
        };
        let lives = |publication| channel.has(publication, live, now);
        channel.attached.within(attached, limit, lives)
    }

    /// Whether something may be attached to a publication to which `more` will be attached before.
    pub(super) fn check_annotation(
        &self,
        target: &Target,
        publication: Timetoken,
        annotation: &Annotation,
        more: usize,
    ) -> Result<(), HistoryError> {
        let now = now();
        let live = self.live(target, Span::ALL, now);
        let index = self.index.lock();
        let channel = index.channels.get(target);
        let channel = channel.filter(|channel| channel.has(publication, live, now));
        let channel = channel.ok_or(HistoryError::NotFound)?;
        channel.attached.check(publication, annotation, more)
    }

    /// Applies the rules to all channels, some at a time.
    pub(super) fn sweep(&self) {
        let mut after = None;
        loop {
            let mut index = self.index.lock();
            after = index.sweep(after.as_ref(), SLICE, &self.rules, now());
            if after.is_none() || self.closed.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// What a publisher hears of a failed write.
pub(super) fn refusal(error: &std::io::Error) -> PersistenceError {
    let inner = error.get_ref();
    if is_full(error) {
        PersistenceError::Full
    } else if inner.is_some_and(|inner| inner.is::<Gone>()) {
        PersistenceError::Gone
    } else {
        PersistenceError::store(error.to_string())
    }
}

/// What a reader hears of a failed write.
pub(super) fn unchanged(error: &PersistenceError) -> HistoryError {
    match error {
        PersistenceError::Full => HistoryError::Full,
        other => HistoryError::store(other.clone()),
    }
}

/// A publication that is kept.
pub(super) const SYNCED: PersistResult = Ok(Durability::Synced);
