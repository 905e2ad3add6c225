//! The streams of one connection: which are open, and whether their client takes what it asked for.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::limits::Limits;

/// The streams of one connection.
pub(super) struct Streams {
    began: Instant,
    /// How long a connection may have no request under way: until the first one, and between two.
    first_within: Duration,
    next_within: Duration,
    /// How long a client may take nothing of an answer.
    stall: Duration,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    streams: Vec<Weak<Stream>>,
    /// Opened, and no task has it yet.
    opened: Option<Arc<Stream>>,
    /// Since when none is open.
    idle_since: Duration,
    had_one: bool,
}

/// One request and its answer.
pub(super) struct Stream {
    began: Instant,
    /// Milliseconds of the connection at which a piece of the answer was handed over that has not left, and one more; 0 where
    /// none waits.
    handed: AtomicU64,
    end: CancellationToken,
}

/// What a look at a connection finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Busy,
    /// It had no request for too long.
    Idle,
    /// So many answers were ended that nobody takes.
    Stalled(usize),
}

impl Streams {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            began: Instant::now(),
            first_within: limits.header_timeout(),
            next_within: limits.keep_alive_timeout(),
            stall: limits.outbound_stall(),
            open: Mutex::default(),
        }
    }

    /// A request has come. Its task [takes it](Self::take_opened) at once.
    pub(super) fn open(&self) -> Arc<Stream> {
        let stream = Arc::new(Stream {
            began: self.began,
            handed: AtomicU64::new(0),
            end: CancellationToken::new(),
        });
        let mut open = self.open.lock();
        open.had_one = true;
        open.streams.push(Arc::downgrade(&stream));
        open.opened = Some(stream.clone());
        stream
    }

    /// The stream that was opened last, for its task.
    pub(super) fn take_opened(&self) -> Option<Arc<Stream>> {
        self.open.lock().opened.take()
    }

    /// Ends the answers that nobody takes.
    pub(super) fn look(&self) -> Finding {
        self.look_at(self.began.elapsed())
    }

    fn look_at(&self, now: Duration) -> Finding {
        let mut open = self.open.lock();
        open.streams.retain(|stream| stream.strong_count() > 0);
        if open.streams.is_empty() {
            let within = if open.had_one {
                self.next_within
            } else {
                self.first_within
            };
            return if now >= open.idle_since + within {
                Finding::Idle
            } else {
                Finding::Busy
            };
        }
        open.idle_since = now;
        let streams = open.streams.iter().filter_map(Weak::upgrade);
        let stalled = streams.filter(|stream| stream.is_stalled(now, self.stall));
        match stalled.inspect(|stream| stream.end.cancel()).count() {
            0 => Finding::Busy,
            count => Finding::Stalled(count),
        }
    }
}

impl Stream {
    /// A piece of the answer was handed over, or more of it is asked for.
    pub(super) fn set_handed(&self, handed: bool) {
        let now = if handed {
            self.began.elapsed().as_millis() as u64 + 1
        } else {
            0
        };
        self.handed.store(now, Ordering::Relaxed);
    }

    /// Waits until the answer is ended, since nobody takes it. Cancel safe.
    pub(super) fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.end.cancelled()
    }

    fn is_stalled(&self, now: Duration, stall: Duration) -> bool {
        let handed = self.handed.load(Ordering::Relaxed);
        handed > 0
            && !self.end.is_cancelled()
            && now.saturating_sub(Duration::from_millis(handed)) >= stall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams() -> Streams {
        Streams::new(&Limits {
            header_secs: 5,
            keep_alive_secs: 75,
            outbound_stall_secs: 30,
            ..Limits::default()
        })
    }

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_connection_without_requests_is_idle_in_the_end() {
        let streams = streams();
        assert_eq!(streams.look_at(at(4)), Finding::Busy);
        assert_eq!(streams.look_at(at(5)), Finding::Idle);
        let stream = streams.open();
        drop(streams.take_opened());
        assert_eq!(streams.look_at(at(500)), Finding::Busy, "a poll is held");
        drop(stream);
        assert_eq!(streams.look_at(at(574)), Finding::Busy);
        assert_eq!(streams.look_at(at(575)), Finding::Idle);
    }

    #[tokio::test]
    async fn only_the_answer_that_nobody_takes_is_ended() {
        let streams = streams();
        let (taken, waits) = (streams.open(), streams.open());
        taken.set_handed(true);
        taken.set_handed(false);
        waits.set_handed(true);
        assert_eq!(streams.look_at(at(29)), Finding::Busy);
        assert_eq!(streams.look_at(at(31)), Finding::Stalled(1));
        waits.ended().await;
        assert!(!taken.end.is_cancelled());
        assert_eq!(
            streams.look_at(at(40)),
            Finding::Busy,
            "each is told of once"
        );
    }
}
