//! History on disk as a persistence policy.

use std::{
    fmt,
    sync::{Arc, mpsc::Sender},
};

use async_trait::async_trait;
use polywire_core::{
    Durability, History, HistoryError, PersistResult, PersistenceError, PersistencePolicy,
    Publication, Rules, Target,
};
use tokio::sync::oneshot;

use super::{
    directory::explain,
    log::Log,
    output::Files,
    recovery,
    settings::DiskSettings,
    store::Store,
    writer::{self, Job},
};

/// Keeps publications in a data directory, and answers when they are synced.
///
/// The log is written by one thread: what comes in while it writes and syncs is its next batch, so that many
/// publishers share one sync. A crash takes nothing away that was acknowledged; damage on the disk takes away
/// what it hit, and only those channels begin a new epoch. Where a [`Rule`](polywire_core::Rule) asks for
/// [`Durability::Memory`], publications are acknowledged at once and written a moment later; after a crash
/// such a channel begins a new epoch.
///
/// # Examples
/// ```
/// use polywire_core::{
///     Channel, Draft, Durability, Payload, PersistencePolicy, Position, Query, Rules, Seq,
/// };
/// use polywire_persistence::{DiskHistory, DiskSettings};
/// use std::sync::Arc;
///
/// # #[tokio::main] async fn main() {
/// # let temporary = tempfile::tempdir().unwrap();
/// # let dir = temporary.path();
/// let disk = DiskHistory::open(DiskSettings::new(dir), Rules::default()).unwrap();
/// let room = Channel::new("room").unwrap();
/// let first = Draft::new(room.clone(), Payload::text("hello"));
/// let first = Arc::new(first.at(Position { seq: Seq(1), ..Position::default() }));
/// assert_eq!(disk.persist(&first).await.unwrap(), Durability::Synced);
///
/// let history = disk.history().unwrap();
/// let page = history.read(&room.into(), &Query::last(10)).await.unwrap();
/// assert_eq!(page.entries[0].publication, first);
/// disk.stop().await;
/// # }
/// ```
pub struct DiskHistory {
    pub(super) store: Arc<Store>,
    jobs: Sender<Job>,
}

impl DiskHistory {
    /// Opens a data directory, or makes one. Blocks while it reads what is there.
    ///
    /// # Errors
    /// [`PersistenceError::Configuration`] with one sentence: the directory cannot be written to, is of a later
    /// version, is in use by another process, or has no room left.
    pub fn open(settings: DiskSettings, rules: Rules) -> Result<Self, PersistenceError> {
        Self::of(recovery::open(&settings, rules, Box::new(Files))?)
    }

    pub(super) fn of(log: Log) -> Result<Self, PersistenceError> {
        let store = log.store.clone();
        match writer::start(log) {
            Ok(jobs) => Ok(Self { store, jobs }),
            Err(error) => {
                let what = explain(&store.directory.path, &error);
                Err(PersistenceError::Configuration(what))
            }
        }
    }

    /// Has the writer do something.
    pub(super) async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<T>) -> Job,
    ) -> Result<T, PersistenceError> {
        let (answer, told) = oneshot::channel();
        self.jobs
            .send(job(answer))
            .map_err(|_| PersistenceError::Closed)?;
        told.await.map_err(|_| PersistenceError::Closed)
    }

    pub(super) async fn change<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, HistoryError>>) -> Job,
    ) -> Result<T, HistoryError> {
        self.ask(job).await.map_err(HistoryError::store)?
    }
}

#[async_trait]
impl PersistencePolicy for DiskHistory {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        let mut kept = self.persist_all(std::slice::from_ref(publication)).await;
        kept.pop().unwrap_or(Err(PersistenceError::Closed))
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        match self
            .ask(|answer| Job::Persist(batch.to_vec(), answer))
            .await
        {
            Ok(kept) => kept,
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    fn waits(&self, target: &Target) -> bool {
        self.store.waits(target)
    }

    fn persist_now(&self, publication: &Arc<Publication>) -> PersistResult {
        if self.store.waits(&publication.target) {
            return Err(PersistenceError::Closed);
        }
        if let Some(haste) = self.store.keep_in_memory(publication)? {
            // A writer that has ended has written everything.
            let _ = self.jobs.send(Job::Wake(haste));
        }
        Ok(Durability::Memory)
    }

    fn history(&self) -> Option<&dyn History> {
        Some(self)
    }

    async fn stop(&self) {
        // An error means that it was stopped before.
        let _ = self.ask(Job::Stop).await;
    }
}

impl fmt::Debug for DiskHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskHistory")
            .field("dir", &self.store.directory.path)
            .finish_non_exhaustive()
    }
}
