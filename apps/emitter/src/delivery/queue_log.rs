//! Queue logs: the messages that wait for clients, written down where messages are kept, so that they outlive the server.
//!
//! Each session has a log, a channel that no client can name. A message is an entry with its number in the session; that
//! some were completed is an entry too. What is completed is trimmed off the beginning. One that is completed before it
//! was written never is. A publisher waits until what it published is written: see `Space::pending_writes`.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    fmt,
    sync::{Arc, OnceLock, Weak},
};

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use polywire_core::{
    BackendError, Channel, Draft, Durability, HistoryError, JsonText, Payload, Publication, Query,
    Receipt, Space, Span, Target, Timetoken, space::PendingWrite,
};
use serde::{Deserialize, Serialize};

use super::queued_publish::QueuedPublish;
use crate::{clock::now, codec::version::Version};

/// Bytes of messages that wait for the store; further ones wait in memory only.
const PENDING_BYTES_MAX: usize = 64 << 20;

/// Messages that are written at a time.
const BATCH: usize = 1000;

/// A second in timetokens.
const SECOND: u64 = 10_000_000;

/// Where there are other nodes what was written is cleared away when it is older: one may be reading it.
const KEPT: u64 = 10 * SECOND;

/// The logs of all sessions of this node.
pub(crate) struct QueueLogs {
    space: Weak<Space>,
    /// What the store promises; not known while it cannot be reached.
    durability: OnceLock<Durability>,
    state: Mutex<QueueLogState>,
}

#[derive(Default)]
struct QueueLogState {
    logs: HashMap<Channel, Log>,
    pending: Vec<Entry>,
    pending_bytes: usize,
    is_writing: bool,
}

struct Entry {
    log: Channel,
    number: u64,
    queued: QueuedPublish,
    write: PendingWrite,
}

/// The log of one session.
#[derive(Default)]
struct Log {
    /// What was written and not cleared away yet, in order.
    written: VecDeque<(u64, Timetoken)>,
    /// What of it, or of what is not written yet, is completed.
    done: BTreeSet<u64>,
    /// Some of that was not written down yet.
    is_dirty: bool,
}

/// What stands beside a packet in the log.
#[derive(Serialize, Deserialize)]
struct EntryHeader {
    number: u64,
    version: Version,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

/// What stands in the log between packets.
#[derive(Serialize, Deserialize)]
struct Completed {
    done: BTreeSet<u64>,
}

/// What a log says of the messages of a session.
#[derive(Default)]
pub(crate) struct StoredQueue {
    /// Those that wait, by number.
    pub(crate) waiting: Vec<(u64, QueuedPublish)>,
    /// When they, and those that do not wait any more, were published.
    pub(crate) known: HashSet<Timetoken>,
}

/// The log of one session, as the session sees it.
pub(crate) struct QueueLog {
    logs: Arc<QueueLogs>,
    log: Channel,
}

impl fmt::Debug for QueueLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueLog({})", self.log)
    }
}

impl QueueLog {
    /// A message waits.
    pub(crate) fn enqueue(&self, number: u64, queued: &QueuedPublish) {
        self.logs.append(&self.log, number, queued);
    }

    /// A message does not wait any more.
    pub(crate) fn complete(&self, number: u64) {
        let mut state = self.logs.state.lock();
        if let Some(log) = state.logs.get_mut(&self.log) {
            log.done.insert(number);
            log.is_dirty = true;
        }
    }
}

fn log_channel(client: &str) -> Option<Channel> {
    Channel::new(&format!("$polywire/mqtt/session/{client}")).ok()
}

impl QueueLogs {
    pub(crate) fn new(space: &Arc<Space>) -> Arc<Self> {
        Arc::new(Self {
            space: Arc::downgrade(space),
            durability: match space.whole_history() {
                Some(_) => OnceLock::new(),
                None => Durability::Delivered.into(),
            },
            state: Mutex::default(),
        })
    }

    /// Finds out what the store promises, unless that is known.
    pub(crate) async fn probe(&self) {
        let (Some(space), Some(probe)) = (self.space.upgrade(), log_channel("")) else {
            return;
        };
        if self.durability.get().is_some() {
            return;
        }
        let draft = Draft::new(probe.clone(), Payload::text(""));
        match space.publish_reserved(draft).await {
            Ok(receipt) => {
                let _ = self.durability.set(receipt.durability);
                delete_span(&space, &probe, Span::ALL).await;
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the store of MQTT sessions cannot be reached yet");
            }
        }
    }

    /// True where nothing is written down that would outlive the sessions.
    fn is_off(&self) -> bool {
        let known = self.durability.get();
        known.is_some_and(|durability| *durability < Durability::Synced)
    }

    /// True where all nodes have the same store.
    pub(crate) async fn are_shared(&self) -> bool {
        self.probe().await;
        let known = self.durability.get();
        known.is_some_and(|durability| *durability >= Durability::Replicated)
    }

    /// The log of a session, from now on; none where nothing is kept.
    pub(crate) fn begin(self: &Arc<Self>, client: &str) -> Option<QueueLog> {
        if self.is_off() {
            return None;
        }
        let log = log_channel(client)?;
        self.state.lock().logs.entry(log.clone()).or_default();
        Some(QueueLog {
            logs: self.clone(),
            log,
        })
    }

    /// Reads what waits for a client, by number, with what did lately.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn read(&self, client: &str) -> Result<StoredQueue, HistoryError> {
        let (Some(space), Some(channel)) = (self.space.upgrade(), log_channel(client)) else {
            return Ok(StoredQueue::default());
        };
        let Some(history) = space.whole_history() else {
            return Ok(StoredQueue::default());
        };
        let target = Target::from(channel.clone());
        let mut log = Log::default();
        let mut stored = StoredQueue::default();
        let mut next = Some(Query::new(Span::ALL, BATCH));
        while let Some(query) = next {
            let page = match history.read(&target, &query).await {
                Err(HistoryError::NotKept) => break,
                page => page?,
            };
            for entry in &page.entries {
                let publication = &*entry.publication;
                if let Some((number, queued)) = read_entry(publication) {
                    let at = publication.position().timetoken;
                    log.written.push_back((number, at));
                    stored.known.insert(queued.at);
                    stored.waiting.push((number, queued));
                } else if let Payload::Json(json) = &publication.payload
                    && let Ok(Completed { done }) = serde_json::from_str(json.as_str())
                {
                    log.done.extend(done);
                }
            }
            next = page.rest(&query);
        }
        stored
            .waiting
            .retain(|(number, _)| !log.done.contains(number));
        stored.waiting.sort_by_key(|(number, _)| *number);
        self.state.lock().logs.insert(channel, log);
        Ok(stored)
    }

    fn append(self: &Arc<Self>, log: &Channel, number: u64, queued: &QueuedPublish) {
        let Some(space) = self.space.upgrade() else {
            return;
        };
        let mut state = self.state.lock();
        if state.pending_bytes > PENDING_BYTES_MAX {
            tracing::debug!(%log, "the store is too slow: a message waits in memory only");
            return;
        }
        state.pending_bytes += queued.cost();
        state.pending.push(Entry {
            log: log.clone(),
            number,
            queued: queued.clone(),
            write: space.pending_writes().begin(queued.at),
        });
        if !std::mem::replace(&mut state.is_writing, true) {
            // A stop waits for it.
            let own = self.clone();
            space
                .runtime()
                .clone()
                .spawn(async move { own.write(&space).await });
        }
    }

    /// Writes until nothing is left.
    async fn write(&self, space: &Space) {
        loop {
            let batch = {
                let mut state = self.state.lock();
                if state.pending.is_empty() {
                    state.is_writing = false;
                    return;
                }
                let count = state.pending.len().min(BATCH);
                let batch: Vec<_> = state.pending.drain(..count).collect();
                state.pending_bytes -= batch.iter().map(|e| e.queued.cost()).sum::<usize>();
                batch
            };
            // Those that were completed meanwhile, or whose session has ended, need not be written.
            let (wanted, done): (Vec<_>, Vec<_>) = {
                let mut state = self.state.lock();
                batch.into_iter().partition(|entry| {
                    let log = state.logs.get_mut(&entry.log);
                    log.is_some_and(|log| !log.done.remove(&entry.number))
                })
            };
            let results = join_all(wanted.iter().map(|entry| append(space, entry))).await;
            let mut finished: Vec<_> = done.into_iter().map(|entry| (entry.write, true)).collect();
            let mut state = self.state.lock();
            for (entry, result) in wanted.into_iter().zip(results) {
                finished.push((entry.write, result.is_ok()));
                match result {
                    Ok(receipt) => {
                        let _ = self.durability.set(receipt.durability);
                        if let Some(log) = state.logs.get_mut(&entry.log) {
                            let at = receipt.position.timetoken;
                            log.written.push_back((entry.number, at));
                        }
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, log = %entry.log, "a message waits in memory only");
                    }
                }
            }
            drop(state);
            space.pending_writes().finish(finished);
        }
    }

    /// Writes down what is done, and clears away what is not needed any more.
    pub(crate) async fn trim_all(&self) {
        let Some(space) = self.space.upgrade() else {
            return;
        };
        let newest = if space.is_shared() {
            now().saturating_mul(SECOND).saturating_sub(KEPT)
        } else {
            u64::MAX
        };
        let trims: Vec<_> = {
            let mut state = self.state.lock();
            let logs = state.logs.iter_mut();
            logs.filter_map(|(channel, log)| Some((channel.clone(), log.trim(newest)?)))
                .collect()
        };
        for (channel, trim) in trims {
            trim.write(&space, &channel).await;
        }
    }

    /// The same for one session at once.
    pub(crate) async fn flush(&self, client: &str) {
        let (Some(space), Some(channel)) = (self.space.upgrade(), log_channel(client)) else {
            return;
        };
        space.pending_writes().settled().await;
        let trim = {
            let mut state = self.state.lock();
            state.logs.get_mut(&channel).and_then(|log| log.trim(0))
        };
        if let Some(trim) = trim {
            trim.write(&space, &channel).await;
        }
    }

    /// Another node has the log now.
    pub(crate) fn release(&self, client: &str) {
        if let Some(log) = log_channel(client) {
            self.state.lock().logs.remove(&log);
        }
    }

    /// Deletes the log of a session that has ended.
    pub(crate) async fn delete(&self, client: &str) {
        let Some(log) = log_channel(client) else {
            return;
        };
        if self.state.lock().logs.remove(&log).is_none() {
            return;
        }
        if let Some(space) = self.space.upgrade() {
            space.pending_writes().settled().await;
            delete_span(&space, &log, Span::ALL).await;
        }
    }
}

/// What is to be written down about a log, and cleared away from it.
struct PendingTrim {
    done: Option<Completed>,
    /// Everything up to here is done.
    cleared: Option<Timetoken>,
}

impl Log {
    fn trim(&mut self, newest: u64) -> Option<PendingTrim> {
        let mut cleared = None;
        while let Some((number, at)) = self.written.front()
            && at.0 <= newest
            && self.done.remove(number)
        {
            cleared = Some(*at);
            self.written.pop_front();
        }
        let is_dirty = std::mem::take(&mut self.is_dirty);
        let done = (is_dirty && !self.done.is_empty()).then(|| Completed {
            done: self.done.clone(),
        });
        (done.is_some() || cleared.is_some()).then_some(PendingTrim { done, cleared })
    }
}

impl PendingTrim {
    async fn write(&self, space: &Space, log: &Channel) {
        if let Some(done) = &self.done
            && let Ok(json) = JsonText::of(done)
        {
            let draft = Draft::new(log.clone(), Payload::Json(json));
            if let Err(error) = space.publish_reserved(draft).await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, %log, "what is done may come again after a restart");
            }
        }
        if let Some(cleared) = self.cleared {
            delete_span(space, log, Span::from(Timetoken(0)..=cleared)).await;
        }
    }
}

async fn delete_span(space: &Space, log: &Channel, span: Span) {
    let Some(history) = space.whole_history() else {
        return;
    };
    if let Err(error) = history.delete(&Target::from(log.clone()), span).await {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, %log, "what is done stays in the store");
    }
}

async fn append(space: &Space, entry: &Entry) -> Result<Receipt, BackendError> {
    let queued = &entry.queued;
    let header = JsonText::of(&EntryHeader {
        number: entry.number,
        version: queued.version,
        at: queued.at.0,
        expires: queued.expires,
    });
    let payload = Payload::Binary(Bytes::clone(&queued.packet));
    let draft = Draft::new(entry.log.clone(), payload).meta(header.ok());
    space.publish_reserved(draft).await
}

fn read_entry(publication: &Publication) -> Option<(u64, QueuedPublish)> {
    let Payload::Binary(packet) = &publication.payload else {
        return None;
    };
    let header: EntryHeader = serde_json::from_str(publication.meta.as_ref()?.as_str()).ok()?;
    Some((
        header.number,
        QueuedPublish {
            packet: packet.clone(),
            version: header.version,
            at: Timetoken(header.at),
            expires: header.expires,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(written: &[u64]) -> Log {
        Log {
            // A message is written in the tick of its number.
            written: written.iter().map(|n| (*n, Timetoken(*n))).collect(),
            ..Log::default()
        }
    }

    fn complete(log: &mut Log, numbers: &[u64]) {
        log.done.extend(numbers);
        log.is_dirty = true;
    }

    fn done(trim: Option<PendingTrim>) -> (Option<Vec<u64>>, Option<u64>) {
        let trim = trim.unwrap();
        let done = trim.done.map(|completed| completed.done);
        (
            done.map(|done| done.into_iter().collect()),
            trim.cleared.map(|at| at.0),
        )
    }

    #[test]
    fn a_log_is_trimmed_up_to_the_first_that_waits() {
        let mut log = log(&[1, 2, 3, 4]);
        assert!(log.trim(u64::MAX).is_none(), "nothing was completed");
        complete(&mut log, &[2]);
        assert_eq!(done(log.trim(u64::MAX)), (Some(vec![2]), None));
        assert!(log.trim(u64::MAX).is_none(), "that was written already");
        complete(&mut log, &[1, 4]);
        assert_eq!(done(log.trim(u64::MAX)), (Some(vec![4]), Some(2)));
        complete(&mut log, &[3]);
        assert_eq!(done(log.trim(u64::MAX)), (None, Some(4)));
        assert!(log.written.is_empty() && log.done.is_empty());
    }

    #[test]
    fn what_another_node_may_be_reading_is_not_cleared_away() {
        let mut log = log(&[10, 20]);
        complete(&mut log, &[10, 20]);
        assert_eq!(done(log.trim(15)), (Some(vec![20]), Some(10)));
        assert_eq!(done(log.trim(20)), (None, Some(20)));
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let header = r#"{"number":7,"version":"V5","at":99,"expires":5}"#;
        let payload = Payload::Binary(Bytes::from_static(b"packet"));
        let draft = Draft::new(Channel::new("a").unwrap(), payload);
        let draft = draft.meta(JsonText::parse(header.into()).ok());
        let publication = draft.at(polywire_core::Position::default());
        let (number, queued) = read_entry(&publication).unwrap();
        assert_eq!((number, queued.at), (7, Timetoken(99)));
        assert_eq!(queued.expires, Some(5));
        let again = EntryHeader {
            number,
            version: queued.version,
            at: queued.at.0,
            expires: queued.expires,
        };
        assert_eq!(serde_json::to_string(&again).unwrap(), header);
    }
}
