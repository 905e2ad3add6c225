//! Turns: how the loops that read from clients give way to each other.

use std::{
    pin::Pin,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    thread::available_parallelism,
    time::{Duration, Instant},
};

use pin_project_lite::pin_project;

/// The turn of a loop while no other one is busy.
const ALONE: Duration = Duration::from_millis(16);

/// What all loops that are busy on one processor take together, until it is the first one's turn again.
const ROUND: Duration = Duration::from_millis(2);

/// Shorter turns would cost more in changes than others gain by them.
const TURN_MIN: Duration = Duration::from_micros(250);

/// Time in which the loops are counted that were busy.
const PERIOD: Duration = Duration::from_millis(16);

/// The busy loops of this process.
static BUSY: LazyLock<BusyLoops> = LazyLock::new(BusyLoops::new);

/// The turn of one loop over what a client sends: how long it goes on without waiting.
///
/// A socket that always has something to read never makes its task wait, and a task that never waits keeps a worker of
/// the runtime from everybody else. So a loop calls [`give_way`](Self::give_way) after each thing that it has taken, and
/// waits by [`wait`](Self::wait). Alone it goes on for 16 ms, so that what a client sends together leaves together; the
/// more loops are busy, the shorter is the turn of each.
#[derive(Debug)]
pub struct Turn {
    began: Instant,
    /// The period in which this loop was counted last.
    counted: u32,
    /// Nothing was there to do when it was polled last.
    has_waited: bool,
}

impl Turn {
    /// A turn that begins now.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            counted: 0,
            has_waited: false,
        }
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

    /// [`give_way`](Self::give_way) for a loop that is polled: pending when the turn is over, and ready when it is polled again.
    pub(crate) fn poll_give_way(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.has_waited) {
            self.began = Instant::now();
        }
        if !self.is_over() {
            return Poll::Ready(());
        }
        self.began = Instant::now();
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// The loop that is polled has nothing to do: another turn begins when it has.
    pub(crate) fn waits(&mut self) {
        self.has_waited = true;
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

    fn is_over(&mut self) -> bool {
        let now = Instant::now();
        let taken = now.saturating_duration_since(self.began);
        taken >= TURN_MIN && taken >= turn(BUSY.with(&mut self.counted, now))
    }

    #[cold]
    async fn change(&mut self) {
        tokio::task::yield_now().await;
        self.began = Instant::now();
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
            this.turn.began = Instant::now();
        }
        Poll::Ready(output)
    }
}

/// The part of a buffer to read into: a quarter of it while other loops are busy, since what is read at once is decoded at
/// once.
pub(crate) fn share(buffer: &mut [u8]) -> &mut [u8] {
    let others_are_busy = BUSY.count(BUSY.period(Instant::now())) > 1;
    let length = buffer.len();
    &mut buffer[..if others_are_busy {
        length.div_ceil(4)
    } else {
        length
    }]
}

/// The turn of a loop while so many are busy on its processor, and it is one of them.
fn turn(busy: u32) -> Duration {
    match busy {
        0 | 1 => ALONE,
        _ => (ROUND / busy).max(TURN_MIN),
    }
}

/// How many loops were busy in this period or the one before: those that were seen at work for as long as a turn is at
/// least. Those that wait for their turn are not enough to know: most that are ready to run have not begun one, and each
/// of them would believe to be alone.
struct BusyLoops {
    start: Instant,
    processors: u32,
    /// The number of the latest period with a busy loop (32 bits), how many there were in the one before, and how many
    /// there are in it (16 bits each).
    counts: AtomicU64,
}

impl BusyLoops {
    fn new() -> Self {
        let processors = available_parallelism().map_or(1, |count| count.get());
        Self {
            start: Instant::now(),
            processors: processors.try_into().unwrap_or(u32::MAX),
            counts: AtomicU64::new(0),
        }
    }

    /// The number of the period of that time; never 0.
    fn period(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.start).as_millis() / PERIOD.as_millis();
        // It wraps after two years, and one turn is too long then.
        (since as u32).max(1)
    }

    /// Busy loops for each processor, with the one that was counted in the period `counted`.
    fn with(&self, counted: &mut u32, now: Instant) -> u32 {
        let period = self.period(now);
        if *counted != period {
            *counted = period;
            // One more in this period: it has a count of its own from the first one on.
            let _ = self
                .counts
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counts| {
                    let (before, in_it) = Self::at(counts, period);
                    let more = in_it.saturating_add(1);
                    Some(u64::from(period) << 32 | u64::from(before) << 16 | u64::from(more))
                });
        }
        self.count(period).div_ceil(self.processors)
    }

    /// Busy loops of a period or the one before, whichever had more.
    fn count(&self, period: u32) -> u32 {
        let (before, in_it) = Self::at(self.counts.load(Ordering::Relaxed), period);
        before.max(in_it).into()
    }

    /// How many there were in the period before this one, and in this one.
    fn at(counts: u64, period: u32) -> (u16, u16) {
        let (latest, before, in_it) = ((counts >> 32) as u32, (counts >> 16) as u16, counts as u16);
        match period.wrapping_sub(latest) {
            0 => (before, in_it),
            1 => (in_it, 0),
            // Also where another thread has counted in a later one meanwhile.
            u32::MAX => (before, in_it),
            _ => (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::*;

    /// The loops of one processor.
    fn busy_loops() -> BusyLoops {
        BusyLoops {
            processors: 1,
            ..BusyLoops::new()
        }
    }

    #[test]
    fn the_more_are_busy_the_shorter_is_a_turn() {
        assert_eq!(turn(1), ALONE);
        assert!(turn(2) < turn(1));
        assert!(turn(4) < turn(2));
        assert_eq!(turn(u32::MAX), TURN_MIN);
    }

    #[test]
    fn loops_that_were_busy_lately_count_each_once() {
        let busy = busy_loops();
        let mut loops = [0; 8];
        let begin = |at: u32| busy.start + PERIOD * at;
        for counted in &mut loops {
            busy.with(counted, begin(1));
            busy.with(counted, begin(1) + PERIOD / 2);
        }
        assert_eq!(busy.with(&mut loops[0], begin(1)), 8);
        // The first one of the next period knows of the others.
        assert_eq!(busy.with(&mut loops[0], begin(2)), 8);
        assert_eq!(busy.with(&mut loops[0], begin(3)), 1);
        assert_eq!(busy.with(&mut loops[1], begin(9)), 1);
    }

    #[test]
    fn each_processor_has_its_share_of_the_busy_loops() {
        let busy = BusyLoops {
            processors: 2,
            ..BusyLoops::new()
        };
        let counts = [(); 5].map(|()| busy.with(&mut 0, busy.start + PERIOD));
        assert_eq!(counts, [1, 1, 2, 2, 3]);
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
        let mut turn = Turn::begin();
        turn.began -= ALONE;
        turn.wait(ready(())).await;
        assert!(turn.is_over());
        turn.wait(tokio::task::yield_now()).await;
        assert!(!turn.is_over());
    }
}
