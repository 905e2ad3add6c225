//! The streams of one connection: which are open, and whether their client takes what it asked for.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
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
    /// Pieces of the answer that were handed over and have not left.
    pieces: AtomicUsize,
    /// Milliseconds of the connection at which one left, or the only one was handed over.
    progress: AtomicU64,
    end: CancellationToken,
}

/// A piece of an answer; that it has left shows when it is dropped.
pub(super) struct Piece {
    bytes: Bytes,
    stream: Arc<Stream>,
}

/// What a look at a connection finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Busy,
    /// It had no request for too long.
    Idle,
    /// So many answers were ended that nobody takes.
    Stalled(usize),
    /// Nobody takes the end of an answer, which nothing can end but the end of the connection.
    Stuck,
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
            pieces: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
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
        let mut count = 0;
        for stream in streams.filter(|stream| stream.is_stalled(now, self.stall)) {
            if stream.end.is_cancelled() {
                // Its task was told, or had ended before: the rest of the answer is with the connection.
                return Finding::Stuck;
            }
            stream.end.cancel();
            stream.set_progress(now);
            count += 1;
        }
        match count {
            0 => Finding::Busy,
            count => Finding::Stalled(count),
        }
    }
}

impl Stream {
    /// Hands over a piece of the answer.
    pub(super) fn hand_over(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        if self.pieces.fetch_add(1, Ordering::Relaxed) == 0 {
            self.set_progress(self.began.elapsed());
        }
        Bytes::from_owner(Piece {
            bytes,
            stream: self.clone(),
        })
    }

    fn set_progress(&self, now: Duration) {
        let now = now.as_millis() as u64;
        self.progress.store(now, Ordering::Relaxed);
    }

    /// Waits until the answer is ended, since nobody takes it. Cancel safe.
    pub(super) fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.end.cancelled()
    }

    fn is_stalled(&self, now: Duration, stall: Duration) -> bool {
        let progress = Duration::from_millis(self.progress.load(Ordering::Relaxed));
        self.pieces.load(Ordering::Relaxed) > 0 && now.saturating_sub(progress) >= stall
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.stream.pieces.fetch_sub(1, Ordering::Relaxed);
        self.stream.set_progress(self.stream.began.elapsed());
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
        drop(taken.hand_over(Bytes::from_static(b"x")));
        let piece = waits.hand_over(Bytes::from_static(b"x"));
        assert_eq!(&piece[..], b"x");
        assert_eq!(streams.look_at(at(29)), Finding::Busy);
        assert_eq!(streams.look_at(at(31)), Finding::Stalled(1));
        waits.ended().await;
        assert!(!taken.end.is_cancelled());
        assert_eq!(streams.look_at(at(60)), Finding::Busy, "its task is told");
        assert_eq!(
            streams.look_at(at(61)),
            Finding::Stuck,
            "its piece is still there"
        );
        drop(piece);
        assert_eq!(streams.look_at(at(90)), Finding::Busy);
    }

    #[test]
    fn a_piece_outlives_the_task_of_its_stream() {
        let streams = streams();
        let stream = streams.open();
        drop(streams.take_opened());
        let piece = stream.hand_over(Bytes::from_static(b"x"));
        drop(stream);
        assert_eq!(streams.look_at(at(31)), Finding::Stalled(1));
        assert_eq!(streams.look_at(at(62)), Finding::Stuck);
        drop(piece);
        assert_eq!(streams.look_at(at(500)), Finding::Idle);
    }
}
