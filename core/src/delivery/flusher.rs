//! The flusher: writes what was enqueued when the batch ends.

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

use super::batch_buffer::{BatchBuffers, BatchSlice};

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

/// Aligned so that no two lanes share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Lane {
    dirty: Mutex<Vec<Arc<dyn Flush>>>,
    buffers: BatchBuffers,
    wake: Notify,
}

/// A list longer than this is not kept for the next fan-out: 256 KiB for each thread.
const LIST_KEPT: usize = 16 << 10;

thread_local! {
    /// A list that was used before: growing a new one takes each fan-out several allocations and copies.
    static SPARE: Cell<Vec<Arc<dyn Flush>>> = const { Cell::new(Vec::new()) };

    /// What this thread fans out now belongs together.
    static IS_TOGETHER: Cell<bool> = const { Cell::new(false) };

    /// Who has to be flushed when all that belongs together was fanned out.
    static TOGETHER: Cell<Vec<Arc<dyn Flush>>> = const { Cell::new(Vec::new()) };

    /// The number of this thread; lanes are picked by it.
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn keep(list: Vec<Arc<dyn Flush>>) {
    if list.capacity() <= LIST_KEPT {
        SPARE.set(list);
    }
}

/// The number of this thread, from 0 in the order in which threads ask.
pub(crate) fn thread_number() -> usize {
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
                while tokio::select! {
                    () = lane.wake.notified() => true,
                    () = stop.cancelled() => false,
                } {
                    // tokio runs a woken task next, before what was ready already. Yielding puts it
                    // behind: what that work enqueues leaves in the same write.
                    tokio::task::yield_now().await;
                    lane.drain();
                }
                lane.drain();
            });
        }
    }

    fn lane(&self) -> &Lane {
        &self.lanes[thread_number() % self.lanes.len()]
    }

    /// Calls `fill` with an empty list, and hands over who is on it then.
    pub(crate) fn collect(&self, fill: impl FnOnce(&mut Vec<Arc<dyn Flush>>)) {
        let mut dirty = SPARE.take();
        fill(&mut dirty);
        self.submit(&mut dirty);
        keep(dirty);
    }

    /// What `work` fans out leaves together, in one write per subscriber: nobody is flushed before it is done, on whatever
    /// thread the lane's task runs.
    pub(crate) fn together<T>(&self, work: impl FnOnce() -> T) -> T {
        // Inside of another it is part of that.
        let _whole = (!IS_TOGETHER.replace(true)).then(|| Together(self));
        work()
    }

    /// Hands over who has to be flushed; empties `dirty`.
    pub fn submit(&self, dirty: &mut Vec<Arc<dyn Flush>>) {
        if dirty.is_empty() {
            return;
        }
        if IS_TOGETHER.get() {
            let mut together = TOGETHER.take();
            together.append(dirty);
            TOGETHER.set(together);
            return;
        }
        let lane = self.lane();
        let was_empty = {
            let mut queue = lane.dirty.lock();
            let was_empty = queue.is_empty();
            if was_empty {
                // Nothing is copied, and what the lane had grown to is used again.
                std::mem::swap(&mut *queue, dirty);
            } else {
                queue.append(dirty);
            }
            was_empty
        };
        if was_empty {
            lane.wake.notify_one();
        }
    }

    /// Puts a frame, of which these are the parts, beside the others of this thread's batch.
    pub(super) fn place(&self, parts: &[&[u8]]) -> Option<BatchSlice> {
        self.lane().buffers.place(parts)
    }

    /// Hands over one.
    pub fn submit_one(&self, what: Arc<dyn Flush>) {
        if IS_TOGETHER.get() {
            let mut together = TOGETHER.take();
            together.push(what);
            return TOGETHER.set(together);
        }
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
        self.lane().drain();
    }
}

/// Hands over what belonged together when that is complete, also where it ended with a panic.
struct Together<'f>(&'f Flusher);

impl Drop for Together<'_> {
    fn drop(&mut self) {
        IS_TOGETHER.set(false);
        let mut together = TOGETHER.take();
        self.0.submit(&mut together);
        if together.capacity() <= LIST_KEPT {
            TOGETHER.set(together);
        }
    }
}

impl Lane {
    fn drain(&self) {
        let mut batch = SPARE.take();
        std::mem::swap(&mut *self.dirty.lock(), &mut batch);
        // From the end: another thread that fans out the next publication begins at the start, and would otherwise
        // find one connection after the other just being written.
        while let Some(what) = batch.pop() {
            what.flush();
        }
        keep(batch);
    }
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flusher({} lanes)", self.lanes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its flushes.
    #[derive(Default)]
    struct Flushes(AtomicUsize);

    impl Flush for Flushes {
        fn flush(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_belongs_together_is_not_flushed_before_all_of_it_is_there() {
        let flusher = Flusher::new(1);
        let flushes = Arc::new(Flushes::default());
        let count = || {
            flusher.flush_now();
            flushes.0.load(Ordering::Relaxed)
        };
        flusher.together(|| {
            flusher.collect(|dirty| dirty.push(flushes.clone()));
            assert_eq!(count(), 0);
            flusher.together(|| flusher.submit_one(flushes.clone()));
            assert_eq!(count(), 0, "the inner part is part of the whole");
        });
        assert_eq!(count(), 2);
        flusher.submit_one(flushes.clone());
        assert_eq!(count(), 3);
    }

    #[test]
    fn a_panic_in_the_middle_keeps_nobody_from_being_flushed() {
        let flusher = Flusher::new(1);
        let flushes = Arc::new(Flushes::default());
        let torn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            flusher.together(|| {
                flusher.submit_one(flushes.clone());
                panic!("in the middle");
            });
        }));
        assert!(torn.is_err());
        flusher.submit_one(flushes.clone());
        flusher.flush_now();
        assert_eq!(flushes.0.load(Ordering::Relaxed), 2);
    }
}
