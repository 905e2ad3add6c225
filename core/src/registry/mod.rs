//! Registries: small documents that all nodes share.

mod lazy;
mod message;
mod table;

pub use self::lazy::LazyRegistry;

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use self::{
    message::{RegistryChange, RegistryMessage, parts},
    table::{Digest, Table},
};
use crate::{
    backend::BackendError,
    channel::Channel,
    persistence::{HistoryError, Query, Span},
    publication::{Draft, JsonText, Payload, Publication, Retention, Target, Timetoken},
    receipt::Receipt,
    space::{ChannelListener, Space},
};

/// How often nodes compare what they have.
const COMPARE: Duration = Duration::from_secs(5);

/// When a question is asked again that could not be.
const AGAIN: Duration = Duration::from_millis(200);

/// Publications that are read at once.
const PAGE: usize = 1000;

/// Is told of every change, in order: the key, and the document if it was not removed.
///
/// Called while the registry and its channel are locked: it must be short, must not wait, and must not call the
/// registry or the hub.
pub type OnChange = Box<dyn Fn(&str, Option<&JsonText>) + Send + Sync>;

/// Small documents by key, the same on all nodes: for what an app has to remember that is no message, such as
/// groups of channels or keys that do not count any more.
///
/// A change is a publication on a channel of its own, which every node follows, so all see one order. Where
/// messages are kept the changes are, without a limit, and a registry outlives its nodes; else it lasts as long as
/// one node that has it. Changes that were superseded are cleared away.
///
/// While other nodes cannot be reached a change may count on this node only; when they can be again the
/// latest change of each key wins.
pub struct Registry {
    /// Hears the changes as long as there is this registry.
    listener: OnceLock<ChannelListener>,
    space: Weak<Space>,
    channel: Channel,
    bytes_max: usize,
    state: Mutex<RegistryState>,
    on_change: OnChange,
    asked: Notify,
}

#[derive(Debug, Default)]
struct RegistryState {
    table: Table,
    /// What this node had when another had something else.
    differed: Option<Digest>,
    /// Another node wants to hear everything.
    was_asked: bool,
    is_compacting: bool,
}

/// Why something cannot be remembered, or what was cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is no room for more.
    #[error("there is no room for more")]
    Full,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
    /// It may not have reached other nodes, or could not be kept.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// What was remembered before cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl Registry {
    /// Opens a registry: reads what is kept of it, and follows it from now on. `name` begins with that of the app;
    /// `on_change` is told of what there is, and then of every change. When there are more than `bytes_max`
    /// bytes in it further documents are refused.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind.
    pub async fn open(
        space: &Arc<Space>,
        name: &str,
        bytes_max: usize,
        on_change: OnChange,
    ) -> Result<Arc<Self>, RegistryError> {
        let channel = Channel::reserved(&format!("registry/{name}"));
        let registry = Arc::new(Self {
            listener: OnceLock::new(),
            space: Arc::downgrade(space),
            channel: channel.clone(),
            bytes_max,
            state: Mutex::default(),
            on_change,
            asked: Notify::new(),
        });
        // First this, so that nothing is missed that comes while the past is read.
        let weak = Arc::downgrade(&registry);
        let hear = move |publication: &Publication| {
            if let Some(registry) = weak.upgrade() {
                registry.hear(publication);
            }
        };
        let listener = space.listen(channel, hear).await;
        registry.read_kept(space).await?;
        // Set once: nobody else has it yet.
        let _ = registry.listener.set(listener);
        if space.is_shared() {
            tokio::spawn(registry.clone().compare(space.clone()));
        }
        Ok(registry)
    }

    /// The document with this key.
    pub fn get(&self, key: &str) -> Option<JsonText> {
        self.state.lock().table.get(key).cloned()
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.state.lock().table.digest().count
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys that begin so, with their documents, in order.
    pub fn beginning_with(&self, prefix: &str) -> Vec<(String, JsonText)> {
        let state = self.state.lock();
        let found = state.table.beginning_with(prefix);
        found
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect()
    }

    /// The document with this key, and the time as of which it was set.
    pub fn dated(&self, key: &str) -> Option<(JsonText, Timetoken)> {
        let state = self.state.lock();
        let (value, at) = state.table.dated(key)?;
        Some((value.clone(), at))
    }

    /// So many of the keys that begin so, in order, behind `after` where that is given; with their documents, and the
    /// times as of which they were set.
    pub fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<(String, JsonText, Timetoken)> {
        let state = self.state.lock();
        let found = state.table.page(prefix, after).take(limit);
        found
            .map(|(key, value, at)| (key.to_owned(), value.clone(), at))
            .collect()
    }

    /// Forgets a document that was set as of this time, on this node and without a word: for what every node finds out by
    /// itself, such as that it has expired.
    pub fn forget(&self, key: &str, at: Timetoken) {
        self.state.lock().table.forget(key, at);
    }

    /// Sets documents, or removes them where none or JSON's `null` is given, all in one step.
    ///
    /// # Errors
    /// [`RegistryError::Full`] when there is no room: nothing was changed. [`RegistryError::Backend`] when it was
    /// changed on this node at most.
    ///
    /// # Cancel safety
    /// A dropped future has changed everything or nothing.
    pub async fn change(&self, changes: Vec<RegistryChange>) -> Result<(), RegistryError> {
        let message = RegistryMessage::set(&changes);
        self.make(changes, message).await
    }

    /// The same as of a time: of two changes of a key the one with the later time counts, in whatever order they were
    /// made. For what follows something that is in order already, on all nodes.
    ///
    /// # Errors
    /// See [`change`](Self::change).
    ///
    /// # Cancel safety
    /// A dropped future has changed everything or nothing.
    pub async fn change_as_of(
        &self,
        changes: Vec<RegistryChange>,
        at: Timetoken,
    ) -> Result<(), RegistryError> {
        let message = RegistryMessage::set_as_of(&changes, at);
        self.make(changes, message).await
    }

    async fn make(
        &self,
        changes: Vec<RegistryChange>,
        message: RegistryMessage,
    ) -> Result<(), RegistryError> {
        let space = self.space.upgrade().ok_or(RegistryError::Stopping)?;
        if !self.state.lock().table.has_room(&changes, self.bytes_max) {
            return Err(RegistryError::Full);
        }
        let receipt = self.publish(&space, &message, Retention::DEFAULT).await?;
        // Its own delivery may still be on its way.
        self.take(&message, receipt.position.timetoken);
        self.compact(&space).await;
        Ok(())
    }

    async fn publish(
        &self,
        space: &Space,
        message: &RegistryMessage,
        retention: Retention,
    ) -> Result<Receipt, BackendError> {
        // Texts and numbers always have a JSON form.
        let text = JsonText::of(message).unwrap_or_else(|_| JsonText::null());
        let draft = Draft::new(self.channel.clone(), Payload::Json(text));
        space.publish_reserved(draft.retention(retention)).await
    }

    async fn read_kept(&self, space: &Space) -> Result<(), RegistryError> {
        let Some(history) = space.whole_history() else {
            return Ok(());
        };
        let target = Target::from(self.channel.clone());
        let mut next = Some(Query::new(Span::ALL, PAGE));
        while let Some(query) = next {
            let page = match history.read(&target, &query).await {
                Err(HistoryError::NotKept) => return Ok(()),
                page => page?,
            };
            for stored in &page.entries {
                self.hear(&stored.publication);
            }
            next = page.rest(&query);
        }
        Ok(())
    }

    fn hear(&self, publication: &Publication) {
        if let Payload::Json(json) = &publication.payload
            && let Some(message) = RegistryMessage::read(json)
        {
            self.take(&message, publication.position().timetoken);
        }
    }

    fn take(&self, message: &RegistryMessage, at: Timetoken) {
        let mut state = self.state.lock();
        for (key, value, set_at) in message.changes(at) {
            if state.table.set(&key, value, set_at) {
                (self.on_change)(&key, state.table.get(&key));
            }
        }
        match *message {
            RegistryMessage::Restate { last, .. } => state.table.know(Timetoken(last)),
            RegistryMessage::SetAsOf(_) => state.table.know(at),
            RegistryMessage::Ask {} => {
                state.was_asked = true;
                self.asked.notify_one();
            }
            RegistryMessage::Have { last, count } => {
                let (last, own) = (Timetoken(last), state.table.digest());
                if last > own.last || (last == own.last && count != own.count) {
                    state.differed = Some(own);
                }
            }
            RegistryMessage::Set(_) => {}
        }
    }

    /// Restates what there is and deletes everything before, when most of what is kept was superseded.
    async fn compact(&self, space: &Space) {
        {
            let mut state = self.state.lock();
            if state.is_compacting || !state.table.is_mostly_superseded() {
                return;
            }
            state.is_compacting = true;
        }
        let _ends = Compacting(self);
        let restated = self.restate(space, Retention::DEFAULT).await;
        if let (Some(up_to), Some(history)) = (restated, space.whole_history()) {
            let span = Span::from(Timetoken(0)..=up_to);
            let target = Target::from(self.channel.clone());
            if let Err(error) = history.delete(&target, span).await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, channel = %self.channel, "superseded changes stay");
            }
        }
        if let Some(up_to) = restated {
            self.state.lock().table.restated(up_to);
        }
    }

    /// Says everything; returns the last change that is in it, if all was said.
    async fn restate(&self, space: &Space, retention: Retention) -> Option<Timetoken> {
        let (last, all) = self.state.lock().table.everything();
        for part in parts(&all) {
            let message = RegistryMessage::restate(part, last);
            self.publish(space, &message, retention).await.ok()?;
        }
        Some(last)
    }

    /// Finds out whether this node missed something, and answers those that did.
    async fn compare(self: Arc<Self>, space: Arc<Space>) {
        let stopped = space.runtime().stopped();
        let mut ticks = interval(COMPARE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Where nothing is kept others know what this node could not read.
        let mut asks = true;
        loop {
            tokio::select! {
                () = stopped.cancelled() => return,
                () = self.asked.notified() => {
                    let was_asked = std::mem::take(&mut self.state.lock().was_asked);
                    if was_asked {
                        self.restate(&space, Retention::NONE).await;
                    }
                }
                _ = ticks.tick() => {
                    let own = {
                        let mut state = self.state.lock();
                        let own = state.table.digest();
                        // Not when it was only on its way.
                        asks |= state.differed.take() == Some(own);
                        own
                    };
                    if asks {
                        let asked = self.publish(&space, &RegistryMessage::Ask {}, Retention::NONE).await;
                        asks = asked.is_err();
                    }
                    if asks {
                        // The backend connects just now: until others answer this node may let in whom they do not.
                        ticks.reset_after(AGAIN);
                        continue;
                    }
                    let have = RegistryMessage::Have {
                        last: own.last.0,
                        count: own.count,
                    };
                    // The next one says the same.
                    let _ = self.publish(&space, &have, Retention::NONE).await;
                }
            }
        }
    }
}

/// A registry that is being compacted, until that is done or given up.
struct Compacting<'r>(&'r Registry);

impl Drop for Compacting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_compacting = false;
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
