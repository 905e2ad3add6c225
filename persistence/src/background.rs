//! A bounded queue with a task that empties it.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{losses::Losses, record::Record};

/// Records on their way to a store: putting one in never waits, and when a bound is passed it is lost.
///
/// The task is spawned when the first record comes, so that a policy can be made before there is a runtime.
#[derive(Debug)]
pub(crate) struct Background {
    entries_max: usize,
    bytes: Arc<Semaphore>,
    losses: Arc<Losses>,
    running: OnceLock<Running>,
}

#[derive(Debug)]
struct Running {
    records: mpsc::Sender<Queued>,
    stopping: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A record with its share of the bytes that may wait.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) record: Record,
    _share: OwnedSemaphorePermit,
}

/// The end that the task reads.
#[derive(Debug)]
pub(crate) struct Records {
    records: mpsc::Receiver<Queued>,
    /// Cancelled when no more will come and what is queued is to be written without delay.
    pub(crate) stopping: CancellationToken,
}

impl Records {
    /// The next record; `None` when the policy stops and all are taken.
    pub(crate) async fn next(&mut self) -> Option<Queued> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => self.records.close(),
            record = self.records.recv() => return record,
        }
        self.records.recv().await
    }

    /// The next record that is here already.
    pub(crate) fn next_now(&mut self) -> Option<Queued> {
        self.records.try_recv().ok()
    }
}

impl Background {
    pub(crate) fn new(entries_max: usize, bytes_max: usize, losses: Arc<Losses>) -> Self {
        Self {
            entries_max,
            bytes: Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS))),
            losses,
            running: OnceLock::new(),
        }
    }

    /// Publications that were lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.losses.total()
    }

    /// Puts a record into the queue; `work` makes the task when it is the first.
    pub(crate) fn put<W: Future<Output = ()> + Send + 'static>(
        &self,
        record: Record,
        work: impl FnOnce(Records) -> W,
    ) {
        let running = self.running.get_or_init(|| self.start(work));
        let share = u32::try_from(record.len()).unwrap_or(u32::MAX);
        let queued = self.bytes.clone().try_acquire_many_owned(share);
        let queued = queued.ok().map(|share| Queued {
            record,
            _share: share,
        });
        if queued.is_none_or(|queued| running.records.try_send(queued).is_err()) {
            self.losses.add(1, "the queue is full, or the node stops");
        }
    }

    fn start<W: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl FnOnce(Records) -> W,
    ) -> Running {
        let (sender, receiver) = mpsc::channel(self.entries_max.max(1));
        let stopping = CancellationToken::new();
        let task = tokio::spawn(work(Records {
            records: receiver,
            stopping: stopping.clone(),
        }));
        Running {
            records: sender,
            stopping,
            task: Mutex::new(Some(task)),
        }
    }

    /// Waits until what is queued is written or lost.
    pub(crate) async fn stop(&self) {
        let Some(running) = self.running.get() else {
            return;
        };
        running.stopping.cancel();
        let task = running.task.lock().take();
        if let Some(task) = task {
            // When the caller's patience ends first, the task is not waited for any more; what it still
            // had then counts as lost.
            let mut unfinished = Unfinished {
                running,
                entries_max: self.entries_max,
                losses: &self.losses,
                armed: true,
            };
            // A task that panicked has ended too.
            let _ = task.await;
            unfinished.armed = false;
        }
        self.losses.tell_rest();
    }
}

/// Counts what a stop that was cut short leaves behind.
struct Unfinished<'b> {
    running: &'b Running,
    entries_max: usize,
    losses: &'b Losses,
    armed: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.armed {
            let left = self
                .entries_max
                .saturating_sub(self.running.records.capacity());
            self.losses
                .add(left as u64, "the node stopped before they were written");
            self.losses.tell_rest();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A policy that is dropped without a stop lets its task write what is queued and end.
        self.stopping.cancel();
    }
}
