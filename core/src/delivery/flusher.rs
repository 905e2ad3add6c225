//! Writes what was enqueued when the batch ends.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::sheet::{Placed, Sheets};

/// Something that holds enqueued output.
pub trait Flush: Send + Sync + 'static {
    /// Writes as much as is possible without waiting.
    fn flush(self: Arc<Self>);
}

/// Collects who has output and flushes them together, one lane for each worker thread.
///
/// A publication only enqueues. The lane's task runs after the work that is ready now, so everything
/// that one socket read brought leaves in one write per subscriber; when the server is idle that is
/// microseconds later.
pub struct Flusher {
    lanes: Box<[Lane]>,
}

#[derive(Default)]
struct Lane {
    dirty: Mutex<Vec<Arc<dyn Flush>>>,
    sheets: Sheets,
    wake: Notify,
}

thread_local! {
    /// The number of this thread; lanes are picked by it.
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    THREAD.with(|cell| {
        if cell.get() == usize::MAX {
            cell.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        cell.get()
    })
}

impl Flusher {
    /// A flusher of `lanes` lanes; [`run`](Self::run) must be spawned for it.
    pub fn new(lanes: usize) -> Arc<Self> {
        Arc::new(Self {
            lanes: (0..lanes.max(1)).map(|_| Lane::default()).collect(),
        })
    }

    /// Spawns the lanes' tasks on the current runtime; they end with `stop`.
    pub fn run(self: &Arc<Self>, stop: &CancellationToken) {
        for index in 0..self.lanes.len() {
            let (flusher, stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                let lane = &flusher.lanes[index];
                let mut batch = Vec::new();
                while tokio::select! {
                    () = lane.wake.notified() => true,
                    () = stop.cancelled() => false,
                } {
                    // tokio runs a woken task next, before what was ready already. Yielding puts it
                    // behind: what that work enqueues leaves in the same write.
                    tokio::task::yield_now().await;
                    lane.drain(&mut batch);
                }
                lane.drain(&mut batch);
            });
        }
    }

    fn lane(&self) -> &Lane {
        &self.lanes[thread_number() % self.lanes.len()]
    }

    /// Hands over who has to be flushed; empties `dirty`.
    pub fn submit(&self, dirty: &mut Vec<Arc<dyn Flush>>) {
        if dirty.is_empty() {
            return;
        }
        let lane = self.lane();
        let was_empty = {
            let mut queue = lane.dirty.lock();
            let was_empty = queue.is_empty();
            queue.append(dirty);
            was_empty
        };
        if was_empty {
            lane.wake.notify_one();
        }
    }

    /// Puts a frame beside the others of this thread's batch.
    pub(super) fn place(&self, frame: &[u8]) -> Option<Placed> {
        self.lane().sheets.place(frame)
    }

    /// Hands over one.
    pub fn submit_one(&self, what: Arc<dyn Flush>) {
        let lane = self.lane();
        let was_empty = {
            let mut queue = lane.dirty.lock();
            queue.push(what);
            queue.len() == 1
        };
        if was_empty {
            lane.wake.notify_one();
        }
    }

    /// Flushes this thread's lane now: called by whoever knows that its batch is complete.
    pub fn flush_now(&self) {
        self.lane().drain(&mut Vec::new());
    }
}

impl Lane {
    fn drain(&self, batch: &mut Vec<Arc<dyn Flush>>) {
        std::mem::swap(&mut *self.dirty.lock(), batch);
        for what in batch.drain(..) {
            what.flush();
        }
    }
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flusher({} lanes)", self.lanes.len())
    }
}
