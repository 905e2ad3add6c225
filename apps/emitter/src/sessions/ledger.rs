//! What waits for clients, written down where messages are kept.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    fmt,
    pin::pin,
    sync::{Arc, OnceLock, Weak},
};

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use polywire_core::{
    BackendError, Channel, Draft, Durability, HistoryError, JsonText, Payload, Publication, Query,
    Receipt, Refusal, RefusalKind, Space, Span, Target, Timetoken,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{keys::now, parcel::Parcel, version::Version};

/// Bytes of messages that wait for the store; further ones wait in memory only.
const PENDING_BYTES_MAX: usize = 64 << 20;

/// Messages that are written at a time.
const BATCH: usize = 1000;

/// A second in timetokens.
const SECOND: u64 = 10_000_000;

/// Where there are other nodes what was written is cleared away when it is older: one may be reading it.
const KEPT: u64 = 10 * SECOND;

/// The messages of all sessions of this node that wait, as a log for each session. One that is done before it was
/// written never is.
pub(crate) struct Ledgers {
    space: Weak<Space>,
    /// What the store promises; not known while it cannot be reached.
    durability: OnceLock<Durability>,
    state: Mutex<State>,
    written: Notify,
}

#[derive(Default)]
struct State {
    logs: HashMap<Channel, Log>,
    pending: Vec<Entry>,
    pending_bytes: usize,
    /// How many came, and how many of them were dealt with.
    came: u64,
    went: u64,
    /// The last one that could not be written.
    failed: u64,
    is_writing: bool,
}

struct Entry {
    log: Channel,
    number: u64,
    parcel: Parcel,
}

/// The log of one session.
#[derive(Default)]
struct Log {
    /// What was written and not cleared away yet, in order.
    written: VecDeque<(u64, Timetoken)>,
    /// What of it, or of what is not written yet, is done.
    done: BTreeSet<u64>,
    /// Some of that was not written down yet.
    has_news: bool,
}

/// What stands beside a packet in the log.
#[derive(Serialize, Deserialize)]
struct Beside {
    number: u64,
    version: Version,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

/// What stands in the log between packets.
#[derive(Serialize, Deserialize)]
struct Done {
    done: BTreeSet<u64>,
}

/// What a log says of the messages of a session.
#[derive(Default)]
pub(crate) struct Kept {
    /// Those that wait, by number.
    pub(crate) waiting: Vec<(u64, Parcel)>,
    /// When they, and those that do not wait any more, were published.
    pub(crate) known: HashSet<Timetoken>,
}

/// The log of one session, as the session sees it.
pub(crate) struct Ledger {
    ledgers: Arc<Ledgers>,
    log: Channel,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({})", self.log)
    }
}

impl Ledger {
    /// A message waits.
    pub(crate) fn put(&self, number: u64, parcel: &Parcel) {
        self.ledgers.put(&self.log, number, parcel);
    }

    /// A message does not wait any more.
    pub(crate) fn done(&self, number: u64) {
        let mut state = self.ledgers.state.lock();
        if let Some(log) = state.logs.get_mut(&self.log) {
            log.done.insert(number);
            log.has_news = true;
        }
    }
}

fn log_of(client: &str) -> Option<Channel> {
    Channel::new(&format!("$polywire/mqtt/session/{client}")).ok()
}

impl Ledgers {
    pub(crate) fn new(space: &Arc<Space>) -> Arc<Self> {
        Arc::new(Self {
            space: Arc::downgrade(space),
            durability: match space.whole_history() {
                Some(_) => OnceLock::new(),
                None => Durability::Delivered.into(),
            },
            state: Mutex::default(),
            written: Notify::new(),
        })
    }

    /// Finds out what the store promises, unless that is known.
    pub(crate) async fn probe(&self) {
        let (Some(space), Some(probe)) = (self.space.upgrade(), log_of("")) else {
            return;
        };
        if self.durability.get().is_some() {
            return;
        }
        let draft = Draft::new(probe.clone(), Payload::text(""));
        match space.publish_reserved(draft).await {
            Ok(receipt) => {
                let _ = self.durability.set(receipt.durability);
                delete(&space, &probe, Span::ALL).await;
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
    pub(crate) fn begin(self: &Arc<Self>, client: &str) -> Option<Ledger> {
        if self.is_off() {
            return None;
        }
        let log = log_of(client)?;
        self.state.lock().logs.entry(log.clone()).or_default();
        Some(Ledger {
            ledgers: self.clone(),
            log,
        })
    }

    /// Reads what waits for a client, by number, with what did lately.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn read(&self, client: &str) -> Result<Kept, HistoryError> {
        let (Some(space), Some(channel)) = (self.space.upgrade(), log_of(client)) else {
            return Ok(Kept::default());
        };
        let Some(history) = space.whole_history() else {
            return Ok(Kept::default());
        };
        let target = Target::from(channel.clone());
        let mut log = Log::default();
        let mut kept = Kept::default();
        let mut next = Some(Query::new(Span::ALL, BATCH));
        while let Some(query) = next {
            let page = match history.read(&target, &query).await {
                Err(HistoryError::NotKept) => break,
                page => page?,
            };
            for stored in &page.entries {
                let publication = &*stored.publication;
                if let Some((number, parcel)) = packet(publication) {
                    let at = publication.position().timetoken;
                    log.written.push_back((number, at));
                    kept.known.insert(parcel.at);
                    kept.waiting.push((number, parcel));
                } else if let Payload::Json(json) = &publication.payload
                    && let Ok(Done { done }) = serde_json::from_str(json.as_str())
                {
                    log.done.extend(done);
                }
            }
            next = page.rest(&query);
        }
        kept.waiting
            .retain(|(number, _)| !log.done.contains(number));
        kept.waiting.sort_by_key(|(number, _)| *number);
        self.state.lock().logs.insert(channel, log);
        Ok(kept)
    }

    fn put(self: &Arc<Self>, log: &Channel, number: u64, parcel: &Parcel) {
        let mut state = self.state.lock();
        if state.pending_bytes > PENDING_BYTES_MAX {
            tracing::debug!(%log, "the store is too slow: a message waits in memory only");
            return;
        }
        state.came += 1;
        state.pending_bytes += parcel.cost();
        state.pending.push(Entry {
            log: log.clone(),
            number,
            parcel: parcel.clone(),
        });
        if !std::mem::replace(&mut state.is_writing, true)
            && let Some(space) = self.space.upgrade()
        {
            // A stop waits for it.
            let own = self.clone();
            space
                .runtime()
                .clone()
                .spawn(async move { own.write(&space).await });
        }
    }

    /// How many came so far: to [`settle`](Self::settled) what comes from now on.
    pub(crate) fn mark(&self) -> u64 {
        if self.is_off() {
            return 0;
        }
        self.state.lock().came
    }

    /// Waits until all is written that has come since `mark` until now.
    ///
    /// # Errors
    /// When some of it could not be written.
    pub(crate) async fn settled(&self, mark: u64) -> Result<(), Refusal> {
        if self.is_off() {
            return Ok(());
        }
        let until = self.state.lock().came;
        loop {
            let mut written = pin!(self.written.notified());
            written.as_mut().enable();
            {
                let state = self.state.lock();
                if state.went >= until {
                    return match state.failed > mark && state.failed <= until {
                        true => Err(Refusal::new(
                            RefusalKind::Unavailable,
                            "The message could not be kept for a client that is away.",
                        )),
                        false => Ok(()),
                    };
                }
            }
            written.await;
        }
    }

    /// Writes until nothing is left.
    async fn write(&self, space: &Space) {
        loop {
            let mut batch = {
                let mut state = self.state.lock();
                if state.pending.is_empty() {
                    state.is_writing = false;
                    return;
                }
                let count = state.pending.len().min(BATCH);
                let batch: Vec<_> = state.pending.drain(..count).collect();
                state.pending_bytes -= batch.iter().map(|e| e.parcel.cost()).sum::<usize>();
                batch
            };
            let count = batch.len() as u64;
            {
                let mut state = self.state.lock();
                batch.retain(|entry| match state.logs.get_mut(&entry.log) {
                    Some(log) => !log.done.remove(&entry.number),
                    // The session has ended.
                    None => false,
                });
            }
            let writes = batch.iter().map(|entry| append(space, entry));
            let results = join_all(writes).await;
            let mut state = self.state.lock();
            state.went += count;
            for (entry, result) in batch.iter().zip(results) {
                match result {
                    Ok(receipt) => {
                        let _ = self.durability.set(receipt.durability);
                        if let Some(log) = state.logs.get_mut(&entry.log) {
                            let at = receipt.position.timetoken;
                            log.written.push_back((entry.number, at));
                        }
                    }
                    Err(error) => {
                        state.failed = state.went;
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, log = %entry.log, "a message waits in memory only");
                    }
                }
            }
            drop(state);
            self.written.notify_waiters();
        }
    }

    /// Writes down what is done, and clears away what is not needed any more.
    pub(crate) async fn tidy(&self) {
        let Some(space) = self.space.upgrade() else {
            return;
        };
        let newest = match space.is_shared() {
            true => now().saturating_mul(SECOND).saturating_sub(KEPT),
            false => u64::MAX,
        };
        let news: Vec<_> = {
            let mut state = self.state.lock();
            let logs = state.logs.iter_mut();
            logs.filter_map(|(channel, log)| Some((channel.clone(), log.news(newest)?)))
                .collect()
        };
        for (channel, news) in news {
            news.publish(&space, &channel).await;
        }
    }

    /// The same for one session at once.
    pub(crate) async fn close(&self, client: &str) {
        let (Some(space), Some(channel)) = (self.space.upgrade(), log_of(client)) else {
            return;
        };
        let _ = self.settled(u64::MAX).await;
        let news = {
            let mut state = self.state.lock();
            state.logs.get_mut(&channel).and_then(|log| log.news(0))
        };
        if let Some(news) = news {
            news.publish(&space, &channel).await;
        }
    }

    /// Another node has the log now.
    pub(crate) fn leave(&self, client: &str) {
        if let Some(log) = log_of(client) {
            self.state.lock().logs.remove(&log);
        }
    }

    /// Deletes the log of a session that has ended.
    pub(crate) async fn forget(&self, client: &str) {
        let Some(log) = log_of(client) else {
            return;
        };
        if self.state.lock().logs.remove(&log).is_none() {
            return;
        }
        let _ = self.settled(u64::MAX).await;
        if let Some(space) = self.space.upgrade() {
            delete(&space, &log, Span::ALL).await;
        }
    }
}

/// What is to be written down about a log.
struct News {
    done: Option<Done>,
    /// Everything up to here is done.
    cleared: Option<Timetoken>,
}

impl Log {
    fn news(&mut self, newest: u64) -> Option<News> {
        let mut cleared = None;
        while let Some((number, at)) = self.written.front()
            && at.0 <= newest
            && self.done.remove(number)
        {
            cleared = Some(*at);
            self.written.pop_front();
        }
        let has_news = std::mem::take(&mut self.has_news);
        let done = (has_news && !self.done.is_empty()).then(|| Done {
            done: self.done.clone(),
        });
        (done.is_some() || cleared.is_some()).then_some(News { done, cleared })
    }
}

impl News {
    async fn publish(&self, space: &Space, log: &Channel) {
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
            delete(space, log, Span::from(Timetoken(0)..=cleared)).await;
        }
    }
}

async fn delete(space: &Space, log: &Channel, span: Span) {
    let Some(history) = space.whole_history() else {
        return;
    };
    if let Err(error) = history.delete(&Target::from(log.clone()), span).await {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, %log, "what is done stays in the store");
    }
}

async fn append(space: &Space, entry: &Entry) -> Result<Receipt, BackendError> {
    let parcel = &entry.parcel;
    let beside = JsonText::of(&Beside {
        number: entry.number,
        version: parcel.version,
        at: parcel.at.0,
        expires: parcel.expires,
    });
    let payload = Payload::Binary(Bytes::clone(&parcel.packet));
    let draft = Draft::new(entry.log.clone(), payload).meta(beside.ok());
    space.publish_reserved(draft).await
}

fn packet(publication: &Publication) -> Option<(u64, Parcel)> {
    let Payload::Binary(packet) = &publication.payload else {
        return None;
    };
    let beside: Beside = serde_json::from_str(publication.meta.as_ref()?.as_str()).ok()?;
    Some((
        beside.number,
        Parcel {
            packet: packet.clone(),
            version: beside.version,
            at: Timetoken(beside.at),
            expires: beside.expires,
        },
    ))
}
