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

use crate::{
    dispatcher::{Refusal, RefusalKind},
    publication::Timetoken,
};

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
    /// When what they are about was published, and their numbers.
    under_way: BTreeSet<(Timetoken, u64)>,
    failed: BTreeSet<(Timetoken, u64)>,
}

/// A write that is under way, until it is given back to [`finish`](PendingWrites::finish). Dropped, it has failed.
#[must_use = "publishers wait until it is finished"]
pub struct PendingWrite {
    write: (Timetoken, u64),
    /// Taken when it is over.
    of: Option<Arc<Shared>>,
}

impl fmt::Debug for PendingWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingWrite({:?})", self.write)
    }
}

impl Drop for PendingWrite {
    fn drop(&mut self) {
        if let Some(of) = self.of.take() {
            of.state.lock().end(self.write, false);
            of.done.notify_waiters();
        }
    }
}

impl State {
    fn end(&mut self, write: (Timetoken, u64), is_written: bool) {
        self.under_way.remove(&write);
        if !is_written {
            self.failed.insert(write);
        }
        while self.failed.len() > FAILURES_MAX {
            self.failed.pop_first();
        }
    }
}

impl PendingWrites {
    /// A write begins because of what was published at this time. Called while that is delivered, it is one that its publisher
    /// waits for.
    pub fn begin(&self, at: Timetoken) -> PendingWrite {
        let mut state = self.0.state.lock();
        let number = self.0.begun.load(Ordering::Relaxed) + 1;
        state.under_way.insert((at, number));
        self.0.begun.store(number, Ordering::Release);
        PendingWrite {
            write: (at, number),
            of: Some(self.0.clone()),
        }
    }

    /// Writes are over; false for one that failed.
    pub fn finish(&self, writes: impl IntoIterator<Item = (PendingWrite, bool)>) {
        let mut state = self.0.state.lock();
        for (mut write, is_written) in writes {
            write.of = None;
            state.end(write.write, is_written);
        }
        drop(state);
        self.0.done.notify_waiters();
    }

    /// How many have begun so far.
    pub(super) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Acquire)
    }

    /// Waits for all that have begun until now.
    pub async fn settled(&self) {
        let last = self.begun();
        let is_over = |state: &State| !state.under_way.iter().any(|(_, number)| *number <= last);
        self.until(is_over).await;
    }

    /// Waits for those that have begun because of what was published at this time.
    ///
    /// # Errors
    /// `Unavailable` when one failed.
    pub(super) async fn written(&self, at: Timetoken) -> Result<(), Refusal> {
        // Mostly there has been none at all.
        if self.begun() == 0 {
            return Ok(());
        }
        let of = (at, 0)..=(at, u64::MAX);
        let is_over = |state: &State| state.under_way.range(of.clone()).next().is_none();
        self.until(is_over).await;
        match self.0.state.lock().failed.range(of).next() {
            None => Ok(()),
            Some(_) => Err(Refusal::new(
                RefusalKind::Unavailable,
                "The message could not be kept for a client that is away.",
            )),
        }
    }

    async fn until(&self, is_over: impl Fn(&State) -> bool) {
        loop {
            let mut done = pin!(self.0.done.notified());
            done.as_mut().enable();
            if is_over(&self.0.state.lock()) {
                return;
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
        writes.written(Timetoken(2)).await.unwrap();
        let before = writes.begin(Timetoken(1));
        let (one, two) = (writes.begin(Timetoken(2)), writes.begin(Timetoken(2)));
        let mut publisher = pin!(writes.written(Timetoken(2)));
        assert!(publisher.as_mut().now_or_never().is_none());
        writes.finish([(two, true)]);
        assert!(publisher.as_mut().now_or_never().is_none());
        // What began later, and what began before, is not its own.
        let after = writes.begin(Timetoken(3));
        writes.finish([(one, true)]);
        publisher.await.unwrap();
        assert!(writes.settled().now_or_never().is_none());
        writes.finish([(before, false), (after, false)]);
        writes.settled().await;
        writes.written(Timetoken(2)).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_is_told_to_whose_write_it_was() {
        let writes = PendingWrites::default();
        for (at, fails) in [(1, false), (2, true), (3, false)] {
            let write = writes.begin(Timetoken(at));
            match fails {
                true => drop(write),
                false => writes.finish([(write, true)]),
            }
        }
        for (at, fails) in [(1, false), (2, true), (3, false)] {
            assert_eq!(writes.written(Timetoken(at)).await.is_err(), fails);
        }
        for _ in 0..2 * FAILURES_MAX {
            let write = writes.begin(Timetoken(4));
            writes.finish([(write, false)]);
        }
        assert_eq!(writes.0.state.lock().failed.len(), FAILURES_MAX);
    }
}
