//! The policy that keeps history in memory.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use polywire_core::{
    Annotation, Draw, Durability, Held, History, HistoryError, Page, PersistResult,
    PersistencePolicy, Position, Publication, Query, Rules, Span, Target, Timetoken,
};

use super::{
    ring::ticks,
    shard::{Change, Shard},
};

const SHARDS: usize = 64;

/// Bytes of room that are given back when they are not used.
const MORE_ROOM: usize = 1 << 20;

/// Keeps publications in the memory of this node, to be read again while it runs.
///
/// Each channel has what its [`Rule`](polywire_core::Rule) keeps, and all together have a budget of bytes: when it is
/// used up, or the [memory budget](polywire_core::Limits::memory_bytes), the oldest publications go first, roughly,
/// whatever the rules say. A channel whose last publication
/// went long ago is forgotten, and begins a new epoch; so does every channel when the node starts again.
///
/// # Examples
/// ```
/// use polywire_core::{Rule, Rules};
/// use polywire_persistence::MemoryHistory;
///
/// let last_hundred = Rule { entries_max: Some(100), ..Rule::default() };
/// let policy = MemoryHistory::new(Rules::all(last_hundred), 64 << 20);
/// assert_eq!(policy.bytes(), 0);
/// ```
pub struct MemoryHistory {
    rules: Rules,
    bytes_max: usize,
    bytes: AtomicUsize,
    /// Bytes that there is room for, as far as they were drawn from the memory budget.
    room: AtomicUsize,
    draw: Mutex<Draw>,
    shards: Box<[Shard]>,
    hasher: RandomState,
    last: AtomicU64,
}

impl MemoryHistory {
    /// Keeps what `rules` say, and not more than `bytes_max` altogether.
    pub fn new(rules: Rules, bytes_max: usize) -> Self {
        Self {
            rules,
            bytes_max,
            bytes: AtomicUsize::new(0),
            room: AtomicUsize::new(0),
            draw: Mutex::new(Draw::new(Held::Kept)),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::default(),
            last: AtomicU64::new(0),
        }
    }

    /// Bytes that are kept now, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn shard(&self, target: &Target) -> &Shard {
        // The upper bits: the map inside uses the lower ones.
        let hash = self.hasher.hash_one(target);
        &self.shards[(hash >> 57) as usize % SHARDS]
    }

    fn changed(&self, change: Change) {
        let Change { came, went } = change;
        let bytes = if came >= went {
            self.bytes.fetch_add(came - went, Ordering::Relaxed) + (came - went)
        } else {
            self.bytes.fetch_sub(went - came, Ordering::Relaxed) - (went - came)
        };
        let room = self.room.load(Ordering::Relaxed);
        if bytes > room || bytes + MORE_ROOM < room {
            self.draw(bytes);
            self.make_room();
        }
    }

    /// Draws what so many bytes need, as far as there is room.
    fn draw(&self, bytes: usize) {
        let mut draw = self.draw.lock();
        // Without room the oldest go.
        let _ = draw.cover(bytes.min(self.bytes_max));
        self.room
            .store(draw.bytes().min(self.bytes_max), Ordering::Relaxed);
    }

    /// Takes away what is oldest, until there is room or nothing is left.
    fn make_room(&self) {
        while self.bytes() > self.room.load(Ordering::Relaxed) {
            let oldest = self.shards.iter().min_by_key(|shard| shard.oldest());
            let Some(bytes) = oldest.and_then(|shard| shard.lock().evict()) else {
                return;
            };
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// What has expired by now is not shown.
fn now() -> Timetoken {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timetoken(since.map_or(0, ticks))
}

#[async_trait]
impl PersistencePolicy for MemoryHistory {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        self.persist_now(publication)
    }

    fn waits(&self, _: &Target) -> bool {
        false
    }

    fn persist_now(&self, publication: &Arc<Publication>) -> PersistResult {
        let rule = self.rules.of(&publication.target);
        let change = self
            .shard(&publication.target)
            .lock()
            .push(publication, rule);
        self.last
            .fetch_max(publication.position().timetoken.0, Ordering::Relaxed);
        self.changed(change);
        Ok(Durability::Memory)
    }

    fn history(&self) -> Option<&dyn History> {
        Some(self)
    }
}

#[async_trait]
impl History for MemoryHistory {
    async fn last_position(&self, target: &Target) -> Result<Option<Position>, HistoryError> {
        Ok(self
            .shard(target)
            .lock()
            .ring(target)
            .map(|ring| ring.last()))
    }

    async fn last_timetoken(&self) -> Result<Timetoken, HistoryError> {
        Ok(Timetoken(self.last.load(Ordering::Relaxed)))
    }

    async fn read(&self, target: &Target, query: &Query) -> Result<Page, HistoryError> {
        let shard = self.shard(target).lock();
        let ring = shard.ring(target);
        Ok(ring.map_or_else(Page::default, |ring| ring.read(query, now())))
    }

    async fn count(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        let shard = self.shard(target).lock();
        let ring = shard.ring(target);
        Ok(ring.map_or(0, |ring| ring.count(span, now())))
    }

    async fn delete(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        let (count, went) = {
            let mut shard = self.shard(target).lock();
            let Some(ring) = shard.ring_mut(target) else {
                return Ok(0);
            };
            let (count, bytes) = ring.delete(span);
            shard.deleted(count);
            (count, bytes)
        };
        self.changed(Change { came: 0, went });
        Ok(count)
    }

    async fn targets(
        &self,
        after: Option<&Target>,
        limit: usize,
    ) -> Result<Vec<Target>, HistoryError> {
        let mut targets = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let later = shard
                .targets()
                .filter(|&target| after.is_none_or(|a| target > a));
            targets.extend(later.cloned());
        }
        targets.sort_unstable();
        targets.truncate(limit);
        Ok(targets)
    }

    async fn annotate(
        &self,
        target: &Target,
        publication: Timetoken,
        annotation: Annotation,
    ) -> Result<(), HistoryError> {
        let came = {
            let mut shard = self.shard(target).lock();
            let ring = shard.ring_mut(target).ok_or(HistoryError::NotFound)?;
            ring.annotate(publication, annotation, now())?
        };
        self.changed(Change { came, went: 0 });
        Ok(())
    }

    async fn remove_annotation(
        &self,
        target: &Target,
        publication: Timetoken,
        at: Timetoken,
    ) -> Result<Option<Annotation>, HistoryError> {
        let removed = {
            let mut shard = self.shard(target).lock();
            let ring = shard.ring_mut(target);
            ring.and_then(|ring| ring.remove_annotation(publication, at, now()))
        };
        let Some((annotation, went)) = removed else {
            return Ok(None);
        };
        self.changed(Change { came: 0, went });
        Ok(Some(annotation))
    }

    async fn annotations(
        &self,
        target: &Target,
        attached: Span,
        limit: usize,
    ) -> Result<Vec<(Timetoken, Annotation)>, HistoryError> {
        let shard = self.shard(target).lock();
        let ring = shard.ring(target);
        Ok(ring.map_or_else(Vec::new, |ring| ring.annotations(attached, limit, now())))
    }
}

impl fmt::Debug for MemoryHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHistory")
            .field("bytes", &self.bytes())
            .field("bytes_max", &self.bytes_max)
            .finish_non_exhaustive()
    }
}
