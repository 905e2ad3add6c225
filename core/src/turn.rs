//! Turns: how the loops that read from clients give way to each other.

use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use pin_project_lite::pin_project;

/// The turn of a loop while no other one is kept waiting.
const ALONE: Duration = Duration::from_millis(16);

/// What all loops that are busy take together, until it is the first one's turn again.
const ROUND: Duration = Duration::from_millis(4);

/// Shorter turns would cost more in changes than others gain by them.
const TURN_MIN: Duration = Duration::from_micros(250);

/// Loops of this process whose turn was over and that wait for the next one.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The turn of one loop over what a client sends: how long it goes on without waiting.
///
/// A socket that always has something to read never makes its task wait, and a task that never waits keeps a worker of
/// the runtime from everybody else. So a loop calls [`give_way`](Self::give_way) after each thing that it has taken, and
/// waits by [`wait`](Self::wait). Alone it goes on for 16 ms, so that what a client sends together leaves together; the
/// more loops are busy, the shorter is the turn of each.
#[derive(Debug)]
pub struct Turn(Instant);

impl Turn {
    /// A turn that begins now.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Lets other tasks go on when the turn is over; the next one begins then.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    #[inline]
    pub async fn give_way(&mut self) {
        if self.is_over() {
            self.change().await;
        }
    }

    /// Waits for `future`. Another turn begins when there really was something to wait for: a socket that is ready
    /// again and again is none.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub fn wait<F: Future>(&mut self, future: F) -> Wait<'_, F> {
        Wait {
            future,
            turn: self,
            has_waited: false,
        }
    }

    fn is_over(&self) -> bool {
        let taken = self.0.elapsed();
        taken >= TURN_MIN && taken >= turn(WAITING.load(Ordering::Relaxed))
    }

    #[cold]
    async fn change(&mut self) {
        let waiting = Waiting::begin();
        tokio::task::yield_now().await;
        drop(waiting);
        *self = Self::begin();
    }
}

pin_project! {
    /// What [`Turn::wait`] returns. It is as large as the future and two words: an `async` function would hold it twice.
    #[derive(Debug)]
    pub struct Wait<'t, F> {
        #[pin]
        future: F,
        turn: &'t mut Turn,
        has_waited: bool,
    }
}

impl<F: Future> Future for Wait<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let poll = this.future.poll(context);
        if poll.is_pending() {
            *this.has_waited = true;
        }
        let output = ready!(poll);
        if *this.has_waited {
            **this.turn = Turn::begin();
        }
        Poll::Ready(output)
    }
}

/// The part of a buffer to read into: a quarter of it while other loops wait, since what is read at once is decoded at
/// once.
pub(crate) fn share(buffer: &mut [u8]) -> &mut [u8] {
    let others_wait = WAITING.load(Ordering::Relaxed) > 0;
    let length = buffer.len();
    &mut buffer[..if others_wait {
        length.div_ceil(4)
    } else {
        length
    }]
}

/// The turn of a loop while so many others wait for theirs.
fn turn(waiting: usize) -> Duration {
    match u32::try_from(waiting) {
        Ok(0) => ALONE,
        Ok(waiting) => ROUND / waiting.saturating_add(1),
        Err(_) => TURN_MIN,
    }
}

/// One loop that waits for its turn; also when it is dropped meanwhile.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, sync::Arc};

    use super::*;

    #[test]
    fn the_more_wait_the_shorter_is_a_turn() {
        assert!(turn(1) < turn(0));
        assert!(turn(15) < turn(1));
        assert_eq!(turn(usize::MAX), TURN_MIN);
    }

    /// One worker, and a loop that never waits: the other task would never run.
    #[tokio::test]
    async fn a_loop_that_never_waits_gives_way() {
        let ran = Arc::new(AtomicUsize::new(0));
        let other = ran.clone();
        tokio::spawn(async move {
            loop {
                other.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let mut turn = Turn::begin();
        while ran.load(Ordering::Relaxed) < 3 {
            // What is there at once is nothing to wait for.
            turn.wait(ready(())).await;
            turn.give_way().await;
        }
    }

    #[tokio::test]
    async fn a_turn_begins_anew_behind_a_wait() {
        let mut turn = Turn(Instant::now() - ALONE);
        turn.wait(ready(())).await;
        assert!(turn.is_over());
        turn.wait(tokio::task::yield_now()).await;
        assert!(!turn.is_over());
    }
}
