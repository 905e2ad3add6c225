//! The backend itself.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use polywire_core::{
    BackendError, BackendStatus, Draft, Durability, History, Interest, LocalNode, LogLimiter,
    Placed, PubSubBackend, Receipt, Rules, Timetoken,
};
use redis::Client;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    actor::Actor,
    changes::Changes,
    connector::Connector,
    envelope::{self, PublishId},
    gap_repair::Heads,
    history::RedisHistory,
    link_state::LinkState,
    missing::ReadScripts,
    names::Names,
    publishing::{BATCH_MAX, Outcome, Publishing, Request},
    script::Keep,
    settings::RedisSettings,
    subscriptions::Subscriptions,
};

/// Publications that may wait to be sent.
const QUEUE_MAX: usize = 4 * BATCH_MAX;
/// Bytes that may wait to be sent.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// How long a stop waits for the connection's task.
const STOP_MAX: Duration = Duration::from_secs(5);

/// Many nodes on one Redis server, version 6 or later.
///
/// Publications and private messages travel through Redis; each node has one connection and one
/// subscription per channel, client or pattern that somebody on it wants. A script gives each publication
/// its place and announces it in one step, so that all nodes see one order; local members get a
/// publication when it comes back from Redis.
///
/// # What an answer means
/// When `publish` answers with a place, Redis has handed the publication to every node that is connected, and local
/// members have it: it has come back, or, where the connection broke in between, it was delivered from memory. Where the
/// only local members are wildcard subscribers, they get it before anything later. A node that does not get it misses it,
/// and reads it.
///
/// # What a node misses
/// Each publication names the one before it on its channel, so that a node sees that one is missing: when the next one
/// comes, when it connects again, and within three heartbeats when nothing follows. It reads what is missing, from the
/// *window* that Redis keeps of each channel (1,000 publications, about 1 MiB, a minute) or from the messages that are
/// kept, and delivers it before what follows; what comes meanwhile is held, 64 MiB at most. What cannot be read is a
/// *gap*, of which [receivers](polywire_core::delivery::Receiver::gap) are told: Redis has forgotten it, or was started
/// again without having synced every write, so that nobody knows.
///
/// # When Redis is away
/// A connection that breaks, gives no sign of life in time, or does not deliver what this node publishes to itself each
/// [`keepalive_ms`](RedisSettings::keepalive_ms), is made again, in pauses that grow to 3 s,
/// and everything that the node wants is subscribed to again. Meanwhile local members are served from
/// memory: publications get places of an epoch of this node, and publishers hear
/// [`BackendError::Unreachable`]. What other nodes publish in that time comes afterwards, as above.
///
/// A publication that was sent and not answered may have reached the other nodes or not. Its publisher
/// hears `Unreachable`, and local members get it from memory at once; should it come back later, it is
/// not delivered here a second time (the last 65,536 such publications are remembered for an hour). A
/// publisher that repeats it may so double it on other nodes.
///
/// # What it keeps in Redis
/// For each channel a hash with epoch, number and last publication, forgotten a day after that, and its window, forgotten
/// after 70 s; one key with the last timetoken, and a list of the channels that were silent for a minute before their last
/// publication, for wildcard subscribers. A channel begins a new epoch when its hash is gone, or the server was
/// started again or replaced, whatever it remembers. Timetokens follow the clock of Redis, but never fall behind one that a
/// publishing node has given or seen.
///
/// # Examples
/// ```
/// use polywire_backends::{Redis, RedisSettings};
/// use polywire_core::AppRunner;
///
/// # fn main() -> Result<(), polywire_core::BackendError> {
/// let backend = Redis::new(RedisSettings::host("localhost", 6379).database(2))?;
/// let builder = AppRunner::builder(backend);
/// # Ok(())
/// # }
/// ```
pub struct Redis {
    settings: RedisSettings,
    client: Client,
    history: Option<Arc<RedisHistory>>,
    running: OnceLock<Running>,
}

struct Running {
    node: LocalNode,
    names: Names,
    requests: mpsc::Sender<Request>,
    bytes: Arc<Semaphore>,
    number: AtomicU64,
    changes: Arc<Changes>,
    link: Arc<LinkState>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Why other nodes did not get a publication, or may not have got it.
type Cause = Option<Box<dyn std::error::Error + Send + Sync>>;

impl Redis {
    /// Checks the settings; connects when it is started.
    ///
    /// # Errors
    /// [`BackendError::Configuration`] when a setting is wrong.
    pub fn new(settings: RedisSettings) -> Result<Self, BackendError> {
        Ok(Self {
            client: settings.client()?,
            settings,
            history: None,
            running: OnceLock::new(),
        })
    }

    /// Keeps publications in Redis in the same step in which they are placed and announced, as the rules say;
    /// every node reads them. Nobody gets what is not kept, except that local members go on being served
    /// while Redis is away.
    ///
    /// Epoch and number of a channel go on after a restart of the Redis server only where it syncs every write
    /// (`appendonly yes`, `appendfsync always`); else a restart may have lost some, and begins a new epoch.
    ///
    /// # Errors
    /// [`BackendError::Configuration`] when a setting is wrong.
    pub fn with_history(mut self, rules: Rules) -> Result<Self, BackendError> {
        self.history = Some(Arc::new(RedisHistory::new(&self.settings, rules)?));
        Ok(self)
    }

    fn running(&self) -> Result<&Running, BackendError> {
        self.running.get().ok_or(BackendError::NotRunning)
    }
}

#[async_trait]
impl PubSubBackend for Redis {
    async fn start(&self, node: LocalNode) -> Result<(), BackendError> {
        let names = Names::new(&self.settings.prefix);
        let (requests, receiver) = mpsc::channel(QUEUE_MAX);
        let running = Running {
            node: node.clone(),
            names: names.clone(),
            requests,
            bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            number: AtomicU64::new(0),
            changes: Arc::default(),
            link: Arc::default(),
            stop: CancellationToken::new(),
            task: Mutex::default(),
        };
        let actor = Actor {
            node,
            connector: Connector::Server(self.client.clone()),
            settings: self.settings.clone(),
            requests: receiver,
            changes: running.changes.clone(),
            link: running.link.clone(),
            publishing: Publishing::new(names.timetoken(), names.listed()),
            names,
            subscriptions: Subscriptions::default(),
            heads: Heads::default(),
            scripts: ReadScripts::default(),
            uncompared: Vec::new(),
            compares_run: false,
            listed_up_to: Timetoken(0),
            keeps: self.history.is_some(),
            garbage: LogLimiter::default(),
            gaps: LogLimiter::default(),
        };
        let stop = running.stop.clone();
        if self.running.set(running).is_err() {
            return Err(BackendError::NotRunning);
        }
        *self.running()?.task.lock() = Some(tokio::spawn(actor.run(stop)));
        Ok(())
    }

    /// # Cancel safety
    /// A publication whose future is dropped before it was sent is not published; later it is published,
    /// but perhaps not stored, and not delivered here if the connection breaks just then.
    async fn publish(&self, draft: Draft) -> Result<Receipt, BackendError> {
        let (running, keep) = (self.running()?, self.keep(&draft));
        let kept = keep.is_some();
        let sent = running.send(&draft, keep, None, self.settings.response_timeout());
        match sent.await {
            Ok(told) => outcome_of(draft, kept, told, running.node.clone()).await,
            Err(cause) => serve_here(draft, cause, &running.node).await,
        }
    }

    async fn place(&self, draft: Draft) -> Result<Placed, BackendError> {
        let (running, keep) = (self.running()?, self.keep(&draft));
        let kept = keep.is_some();
        let unheard = Some(draft.clone());
        let sent = running.send(&draft, keep, unheard, self.settings.response_timeout());
        let node = running.node.clone();
        match sent.await {
            Ok(told) => Ok(Placed::Pending(outcome_of(draft, kept, told, node).boxed())),
            Err(cause) => serve_here(draft, cause, &node).await.map(Placed::Done),
        }
    }

    /// The script places and announces in one step.
    fn stores_first(&self) -> bool {
        false
    }

    async fn subscribe(&self, interest: &Interest) -> Result<(), BackendError> {
        let running = self.running()?;
        let told = running
            .changes
            .look_and_tell(interest)
            .ok_or(BackendError::Unreachable(None))?;
        // The sender is dropped when the connection is lost, which happens when Redis is slow.
        told.await.map_err(|_| BackendError::Unreachable(None))
    }

    fn unsubscribe(&self, interest: &Interest) {
        if let Ok(running) = self.running() {
            running.changes.look(interest);
        }
    }

    fn status(&self) -> BackendStatus {
        match self.running.get() {
            Some(running) => running.link.status(),
            None => BackendStatus::Reconnecting,
        }
    }

    fn history(&self) -> Option<&dyn History> {
        self.history
            .as_deref()
            .map(|history| -> &dyn History { history })
    }

    async fn stop(&self) {
        let Ok(running) = self.running() else { return };
        running.stop.cancel();
        let task = running.task.lock().take();
        if let Some(task) = task {
            // It ends at its next look; a task that panicked has ended too.
            let _ = timeout(STOP_MAX, task).await;
        }
    }
}

impl Redis {
    /// How a draft is kept, if it is.
    fn keep(&self, draft: &Draft) -> Option<Keep> {
        let history = self.history.as_ref().filter(|_| draft.retention.store)?;
        let rule = history.rules().of(&draft.target);
        Some(Keep {
            stream: self.running.get()?.names.stream(&draft.target),
            entries_max: rule.entries_max,
            age_max: rule.age_max,
            ttl: draft.retention.ttl,
        })
    }
}

impl Running {
    /// Sends a draft, so that Redis gives it its place, keeps it and announces it. Tells later what became of it. Whoever
    /// does not listen to that gives the draft as `unheard`, to be delivered here where it may be lost.
    async fn send(
        &self,
        draft: &Draft,
        keep: Option<Keep>,
        unheard: Option<Draft>,
        patience: Duration,
    ) -> Result<oneshot::Receiver<Outcome>, Cause> {
        if !self.link.is_ready() {
            return Err(None);
        }
        let id = PublishId {
            node: self.node.id(),
            number: self.number.fetch_add(1, Ordering::Relaxed),
        };
        let body = envelope::encode(id, draft).map_err(|error| Some(error.into()))?;
        let (answer, told) = oneshot::channel();
        let since = Instant::now();
        let sent = timeout(patience, async {
            let share = u32::try_from(body.len().min(QUEUE_BYTES_MAX)).unwrap_or(u32::MAX);
            let permit = self.bytes.clone().acquire_many_owned(share).await.ok()?;
            let request = Request {
                id,
                target: draft.target.clone(),
                window: self.names.window(&draft.target),
                place: self.names.place(&draft.target),
                channel: self.names.channel(&draft.target),
                body,
                counts: draft.retention.store,
                keep,
                unheard,
                since,
                answer,
                _permit: permit,
            };
            self.requests.send(request).await.ok()
        });
        match sent.await {
            Ok(Some(())) => Ok(told),
            _ => Err(None),
        }
    }
}

/// What becomes of a publication that was sent.
async fn outcome_of(
    draft: Draft,
    kept: bool,
    told: oneshot::Receiver<Outcome>,
    node: LocalNode,
) -> Result<Receipt, BackendError> {
    match told.await {
        Ok(Outcome::Placed(place)) if kept => Ok(Receipt::new(place, Durability::Replicated)),
        Ok(Outcome::Placed(place)) => {
            let durability = node.persist(&Arc::new(draft.at(place))).await?;
            Ok(Receipt::new(place, durability))
        }
        Ok(Outcome::Unplaced(cause)) => {
            serve_here(draft, cause.map(|error| error.into()), &node).await
        }
        // The backend stops.
        Err(_) => serve_here(draft, None, &node).await,
    }
}

/// What becomes of one that other nodes do not get, or may not get: local members do.
async fn serve_here(draft: Draft, cause: Cause, node: &LocalNode) -> Result<Receipt, BackendError> {
    node.publish(draft).await?;
    Err(BackendError::Unreachable(cause))
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("settings", &self.settings)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
