//! Pending writes: what apps write because of a publication, beside itself, such as the queue of a client that is away. A
//! publisher is answered when that is done.

use std::{
    collections::BTreeSet,
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::dispatcher::{Refusal, RefusalKind};

/// Failures that are remembered for publishers who have not looked yet.
const FAILURES_MAX: usize = 1000;

/// Writes of apps that are under way, in the order in which they began.
#[derive(Clone, Default)]
pub struct PendingWrites(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How many have begun: to be looked at without the lock.
    begun: AtomicU64,
    state: Mutex<State>,
    done: Notify,
}

#[derive(Default)]
struct State {
    under_way: BTreeSet<u64>,
    failed: BTreeSet<u64>,
}

/// A write that is under way, until it is given back to [`finish`](PendingWrites::finish). Dropped, it has failed.
#[must_use = "publishers wait until it is finished"]
pub struct PendingWrite {
    number: u64,
    /// Taken when it is over.
    of: Option<Arc<Shared>>,
}

impl fmt::Debug for PendingWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingWrite({})", self.number)
    }
}

impl Drop for PendingWrite {
    fn drop(&mut self) {
        if let Some(of) = self.of.take() {
            of.state.lock().end(self.number, false);
            of.done.notify_waiters();
        }
    }
}

impl State {
    fn end(&mut self, number: u64, is_written: bool) {
        self.under_way.remove(&number);
        if !is_written {
            self.failed.insert(number);
        }
        while self.failed.len() > FAILURES_MAX {
            self.failed.pop_first();
        }
    }
}

impl PendingWrites {
    /// A write begins. Called while a publication is delivered, it is one that its publisher waits for.
    pub fn begin(&self) -> PendingWrite {
        let mut state = self.0.state.lock();
        let number = self.0.begun.load(Ordering::Relaxed) + 1;
        state.under_way.insert(number);
        self.0.begun.store(number, Ordering::Release);
        PendingWrite {
            number,
            of: Some(self.0.clone()),
        }
    }

    /// Writes are over; false for one that failed.
    pub fn finish(&self, writes: impl IntoIterator<Item = (PendingWrite, bool)>) {
        let mut state = self.0.state.lock();
        for (mut write, is_written) in writes {
            write.of = None;
            state.end(write.number, is_written);
        }
        drop(state);
        self.0.done.notify_waiters();
    }

    /// How many have begun so far: to wait for what [has begun since](Self::since).
    pub(super) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Acquire)
    }

    /// Waits for all that have begun until now.
    pub async fn settled(&self) {
        // Who began them hears of failures.
        let _ = self.since(0).await;
    }

    /// Waits for those that have begun until now, but for the first so many.
    ///
    /// # Errors
    /// `Unavailable` when one failed.
    pub(super) async fn since(&self, first: u64) -> Result<(), Refusal> {
        let numbers = first + 1..self.begun() + 1;
        loop {
            let mut done = pin!(self.0.done.notified());
            done.as_mut().enable();
            {
                let state = self.0.state.lock();
                if state.under_way.range(numbers.clone()).next().is_none() {
                    return match state.failed.range(numbers).next() {
                        None => Ok(()),
                        Some(_) => Err(Refusal::new(
                            RefusalKind::Unavailable,
                            "The message could not be kept for a client that is away.",
                        )),
                    };
                }
            }
            done.await;
        }
    }
}

impl fmt::Debug for PendingWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingWrites")
            .field("under_way", &self.0.state.lock().under_way.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_publisher_waits_for_what_it_has_brought_about() {
        let writes = PendingWrites::default();
        writes.settled().await;
        let before = writes.begin();
        let first = writes.begun();
        let (one, two) = (writes.begin(), writes.begin());
        let mut publisher = pin!(writes.since(first));
        assert!(publisher.as_mut().now_or_never().is_none());
        writes.finish([(two, true)]);
        assert!(publisher.as_mut().now_or_never().is_none());
        // What began later, and what began before, is not its own.
        let after = writes.begin();
        writes.finish([(one, true)]);
        publisher.await.unwrap();
        writes.finish([(before, false), (after, false)]);
        writes.settled().await;
    }

    #[tokio::test]
    async fn a_failure_is_told_to_whose_write_it_was() {
        let writes = PendingWrites::default();
        for fails in [false, true, false] {
            let first = writes.begun();
            let write = writes.begin();
            match fails {
                true => drop(write),
                false => writes.finish([(write, true)]),
            }
            assert_eq!(writes.since(first).await.is_err(), fails);
        }
        for _ in 0..2 * FAILURES_MAX {
            let write = writes.begin();
            writes.finish([(write, false)]);
        }
        assert_eq!(writes.0.state.lock().failed.len(), FAILURES_MAX);
    }
}
