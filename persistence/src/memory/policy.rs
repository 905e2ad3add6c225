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
    PersistenceError, PersistencePolicy, Position, Publication, Query, Rules, Span, Stored, Target,
    Timetoken,
};

use super::{
    pool::Pool,
    record,
    shard::{Channels, Shard, ticks},
};

const SHARDS: usize = 64;

/// The part of the room that is kept free, so that a segment is used again and none is allocated.
const RESERVE: usize = 32;

/// The part of the room that may be of no use before records are moved together.
const DEAD: usize = 8;

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
    /// Bytes that are used.
    bytes: AtomicUsize,
    /// Bytes that there is room for, as far as they were drawn from the memory budget.
    room: AtomicUsize,
    draw: Mutex<Draw>,
    pool: Pool,
    shards: Box<[Shard]>,
    hasher: RandomState,
    last: AtomicU64,
}

impl MemoryHistory {
    /// Keeps what `rules` say, in not more than `bytes_max` of memory altogether.
    pub fn new(rules: Rules, bytes_max: usize) -> Self {
        Self {
            rules,
            bytes_max,
            bytes: AtomicUsize::new(0),
            room: AtomicUsize::new(0),
            draw: Mutex::new(Draw::new(Held::History)),
            pool: Pool::new(bytes_max),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::default(),
            last: AtomicU64::new(0),
        }
    }

    /// Bytes of memory that it has now.
    pub fn bytes(&self) -> usize {
        self.used() + self.pool.bytes()
    }

    fn used(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The shard of a target, and its hash.
    fn shard(&self, target: &Target) -> (&Shard, u64) {
        let hash = self.hasher.hash_one(target);
        // Not those bits that the table inside uses.
        (&self.shards[(hash >> 40) as usize % SHARDS], hash)
    }

    /// Looks at what a target has, by its name and its hash.
    fn look<T>(&self, target: &Target, look: impl FnOnce(&Channels, &[u8], u64) -> T) -> T {
        let (shard, hash) = self.shard(target);
        let name = record::name(target);
        shard.look(|channels| look(channels, &name, hash))
    }

    /// Changes what a target has, and makes room.
    fn change<T>(&self, target: &Target, change: impl FnOnce(&mut Channels, u64) -> T) -> T {
        let (shard, hash) = self.shard(target);
        let (result, more) = shard.change(&self.pool, |channels| change(channels, hash));
        if more != 0 {
            self.changed(more);
        }
        result
    }

    fn changed(&self, more: isize) {
        self.bytes
            .fetch_add(more.cast_unsigned(), Ordering::Relaxed);
        let needed = self.needed();
        if needed > self.room() {
            self.draw(needed);
            self.make_room();
        }
        // What is free is within the room too, and stays: given back it would be of use to some threads only.
        self.pool.trim(self.room().saturating_sub(self.used()));
    }

    fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    /// Bytes that are kept free beside those that are used.
    fn reserve(&self) -> usize {
        let size = self.pool.size();
        (self.used() / RESERVE + 2 * size).min(self.bytes_max / RESERVE)
    }

    fn needed(&self) -> usize {
        self.used() + self.reserve()
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
        while self.needed() > self.room() {
            if !self.compact() && !self.evict() {
                return;
            }
        }
    }

    /// Clears a segment where many bytes are of no use. False where they are not.
    fn compact(&self) -> bool {
        let dead: usize = self.shards.iter().map(Shard::dead).sum();
        if dead < self.used() / DEAD {
            return false;
        }
        let shard = self.shards.iter().max_by_key(|shard| shard.dead());
        shard.is_some_and(|shard| self.relieve(shard, Channels::compact))
    }

    /// Takes away what is oldest. False when nothing is left.
    fn evict(&self) -> bool {
        let shard = self.shards.iter().min_by_key(|shard| shard.oldest());
        shard.is_some_and(|shard| self.relieve(shard, Channels::evict))
    }

    fn relieve(&self, shard: &Shard, relieve: impl Fn(&mut Channels, &Pool) -> bool) -> bool {
        let (done, more) = shard.change(&self.pool, |channels| relieve(channels, &self.pool));
        self.bytes
            .fetch_add(more.cast_unsigned(), Ordering::Relaxed);
        done
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
        let target = &publication.target;
        // What apps remember is in their memory already, and ends with it.
        if target.is_reserved() {
            return Ok(Durability::Delivered);
        }
        let rule = self.rules.of(target);
        self.change(target, |channels, hash| {
            channels.push(publication, hash, rule, &self.pool)
        })
        .map_err(PersistenceError::store)?;
        self.last
            .fetch_max(publication.position().timetoken.0, Ordering::Relaxed);
        Ok(Durability::Memory)
    }

    fn history(&self) -> Option<&dyn History> {
        Some(self)
    }
}

#[async_trait]
impl History for MemoryHistory {
    async fn last_position(&self, target: &Target) -> Result<Option<Position>, HistoryError> {
        Ok(self.look(target, |channels, name, hash| {
            let ring = channels.ring(name, hash, &self.pool);
            ring.map(|ring| ring.last())
        }))
    }

    async fn last_timetoken(&self) -> Result<Timetoken, HistoryError> {
        Ok(Timetoken(self.last.load(Ordering::Relaxed)))
    }

    async fn read(&self, target: &Target, query: &Query) -> Result<Page, HistoryError> {
        let (mut page, mut rest, mut bytes) = (Page::default(), *query, 0);
        loop {
            let copied = self.look(target, |channels, name, hash| {
                channels.copy(name, hash, &rest, now(), &self.pool)
            });
            for (record, annotations) in copied.records {
                let publication = record::decode(record);
                let publication = publication.map_err(|e| HistoryError::Store(Arc::new(e)))?;
                bytes += publication.bytes();
                if bytes > Page::BYTES_MAX && !page.entries.is_empty() {
                    page.more = true;
                    return Ok(page);
                }
                let stored = Stored::new(Arc::new(publication));
                page.entries.push(stored.annotations(annotations));
            }
            page.more = copied.more && query.limit > 0;
            rest.limit = query.limit - page.entries.len();
            match page.rest(&rest) {
                Some(unread) if rest.limit > 0 => rest = unread,
                _ => return Ok(page),
            }
            // Decoding takes its time.
            tokio::task::yield_now().await;
        }
    }

    async fn count(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        let query = Query::new(span, usize::MAX);
        Ok(self.look(target, |channels, name, hash| {
            let ring = channels.ring(name, hash, &self.pool);
            ring.map_or(0, |ring| ring.select(&query, now()).count() as u64)
        }))
    }

    async fn delete(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        let name = record::name(target);
        Ok(self.change(target, |channels, hash| {
            channels.delete(&name, hash, span, &self.pool)
        }))
    }

    async fn targets(
        &self,
        after: Option<&Target>,
        limit: usize,
    ) -> Result<Vec<Target>, HistoryError> {
        let mut targets = Vec::new();
        for shard in &self.shards {
            shard.look(|channels| {
                let all = channels.targets(&self.pool);
                targets.extend(all.filter(|target| after.is_none_or(|after| target > after)));
            });
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
        let name = record::name(target);
        self.change(target, |channels, hash| {
            channels.annotate(&name, hash, publication, annotation, now(), &self.pool)
        })
    }

    async fn remove_annotation(
        &self,
        target: &Target,
        publication: Timetoken,
        at: Timetoken,
    ) -> Result<Option<Annotation>, HistoryError> {
        let name = record::name(target);
        Ok(self.change(target, |channels, hash| {
            channels.remove_annotation(&name, hash, publication, at, now(), &self.pool)
        }))
    }

    async fn annotations(
        &self,
        target: &Target,
        attached: Span,
        limit: usize,
    ) -> Result<Vec<(Timetoken, Annotation)>, HistoryError> {
        Ok(self.look(target, |channels, name, hash| {
            channels.annotations(name, hash, attached, limit, now(), &self.pool)
        }))
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
