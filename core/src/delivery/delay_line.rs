//! Delay line: frames that leave their connection's queue a fixed time after they came into it, in the order of the queue.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{Flusher, Outbox, Pushed};

/// Holds frames in the queues of their connections for a fixed time: for clients that cannot take an answer which comes too
/// fast. What is queued behind such a frame waits with it, so that the order is kept, and counts as everything that waits.
///
/// All connections share one timer, which runs while something is held.
pub struct DelayLine {
    delay: Duration,
    flusher: Arc<Flusher>,
    /// Whose first held frame may go when, in this order; one entry for each frame, which has the bound of its outbox.
    held: Mutex<VecDeque<(Instant, Arc<Outbox>)>>,
    /// Told when the first is there.
    wake: Notify,
}

impl DelayLine {
    /// A line that [runs](Self::run) elsewhere.
    pub(crate) fn new(delay: Duration, flusher: Arc<Flusher>) -> Arc<Self> {
        Arc::new(Self {
            delay,
            flusher,
            held: Mutex::default(),
            wake: Notify::new(),
        })
    }

    /// How long a frame is held.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Puts a frame into the queue of a connection, and holds it there.
    pub(crate) fn push(&self, outbox: &Arc<Outbox>, frame: Bytes) {
        match outbox.hold(frame) {
            Ok(()) => {
                let mut held = self.held.lock();
                held.push_back((Instant::now() + self.delay, outbox.clone()));
                if held.len() == 1 {
                    self.wake.notify_one();
                }
            }
            Err(Pushed::NeedsFlush) => self.flusher.submit_one(outbox.clone()),
            Err(_) => {}
        }
    }

    /// Lets frames go when their time has come; does not end.
    pub(crate) async fn run(&self) {
        loop {
            let next = self.held.lock().front().map(|(due, _)| *due);
            match next {
                Some(due) => {
                    tokio::time::sleep_until(due).await;
                    self.release();
                }
                None => self.wake.notified().await,
            }
        }
    }

    /// Lets go what is due.
    fn release(&self) {
        let now = Instant::now();
        let due = || {
            let mut held = self.held.lock();
            held.pop_front_if(|(due, _)| *due <= now)
        };
        while let Some((_, outbox)) = due() {
            if outbox.release() == Pushed::NeedsFlush {
                self.flusher.submit_one(outbox);
            }
        }
    }
}

impl fmt::Debug for DelayLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayLine")
            .field("delay", &self.delay)
            .field("held", &self.held.lock().len())
            .finish_non_exhaustive()
    }
}
