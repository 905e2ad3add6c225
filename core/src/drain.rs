//! Drain: a server that stops sends its clients away one after the other, so that the other nodes are not met by all of
//! them at once.
//!
//! 1. [`announce`](Drain::announce): the server does not count as ready any more; clients may still come.
//! 2. [`begin`](Drain::begin): nobody is accepted any more, and the connections go, each in its turn.
//! 3. [`finish`](Drain::finish): all are told. What outlives connections is handed over, while other nodes still hear this one.
//!
//! Sessions are told by the timer wheel, which knows them. Whatever holds a request of HTTP asks here when the turn of its
//! connection comes.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// So much of the time is for each connection, at most: a few do not take it all.
const EACH_MAX: Duration = Duration::from_millis(20);

/// How a server stops, and whose turn it is to go.
#[derive(Default)]
pub struct Drain {
    is_announced: AtomicBool,
    plan: OnceLock<Plan>,
    begun: CancellationToken,
    over: CancellationToken,
    requested: Notify,
    last_call: CancellationToken,
    held: TaskTracker,
}

/// Something that outlives connections and is to be handed over before the server stops. Dropped when that is done, or not needed.
#[derive(Debug)]
pub struct DrainHold {
    _token: TaskTrackerToken,
}

/// From when on, and for how long, connections go.
#[derive(Debug, Clone, Copy)]
struct Plan {
    from: Instant,
    over: Duration,
}

/// The place of a connection in the line of those that go: a part of the time. Connections that come one after the other are
/// spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainPlace(u32);

impl DrainPlace {
    /// Goes at once.
    pub(crate) const FIRST: Self = Self(0);

    /// The place of one more connection.
    pub(crate) fn next() -> Self {
        /// The golden part of the range: whole numbers of it fill a range evenly, however many they are.
        const STEP: u32 = 0x9e37_79b9;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(NEXT.fetch_add(STEP, Ordering::Relaxed))
    }
}

impl Drain {
    /// Has the server stop, as the signal to do so does.
    pub fn request(&self) {
        self.requested.notify_one();
    }

    /// Returns when it was [requested](Self::request).
    pub(crate) async fn requested(&self) {
        self.requested.notified().await;
    }

    /// True from when the server is to stop: it is not ready for new clients.
    pub fn is_announced(&self) -> bool {
        self.is_announced.load(Ordering::Relaxed)
    }

    pub(crate) fn announce(&self) {
        self.is_announced.store(true, Ordering::Relaxed);
    }

    /// Begins to send so many connections away, over so long a time at most; how long it takes.
    pub(crate) fn begin(&self, connections: usize, over: Duration) -> Duration {
        self.announce();
        let each = u32::try_from(connections).unwrap_or(u32::MAX);
        let over = over.min(EACH_MAX.saturating_mul(each));
        let from = Instant::now();
        let plan = self.plan.get_or_init(|| Plan { from, over });
        self.begun.cancel();
        plan.over
    }

    /// Whoever is still there goes now.
    pub(crate) fn end(&self) {
        self.begin(0, Duration::ZERO);
        self.over.cancel();
    }

    /// Has what outlives connections handed over; waits so long at most.
    pub(crate) async fn finish(&self, patience: Duration) {
        self.last_call.cancel();
        self.held.close();
        if tokio::time::timeout(patience, self.held.wait())
            .await
            .is_err()
        {
            let left = self.held.len();
            tracing::warn!(
                left,
                "stopped before everything was handed over to other nodes"
            );
        }
    }

    /// Is cancelled when all clients were sent away: what is [held](Self::hold) is handed over now, or given up.
    pub fn last_call(&self) -> &CancellationToken {
        &self.last_call
    }

    /// A stop waits a bounded time until this is dropped.
    pub fn hold(&self) -> DrainHold {
        DrainHold {
            _token: self.held.token(),
        }
    }

    /// Is cancelled when connections begin to go.
    pub fn begun(&self) -> &CancellationToken {
        &self.begun
    }

    /// When it is the turn of a connection; `None` while none has to go.
    pub fn turn_of(&self, place: DrainPlace) -> Option<Instant> {
        let Plan { from, over } = self.plan.get()?;
        Some(*from + over.mul_f64(f64::from(place.0) / f64::from(u32::MAX)))
    }

    /// True when it is, or was, the turn of a connection.
    pub fn is_turn_of(&self, place: DrainPlace) -> bool {
        let is_past = |at| at <= Instant::now();
        self.turn_of(place).is_some_and(is_past) || self.over.is_cancelled()
    }

    /// Returns when it is the turn of a connection.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind.
    pub async fn turn(&self, place: DrainPlace) {
        self.begun.cancelled().await;
        if let Some(at) = self.turn_of(place) {
            // Boxed, so that what waits carries no timer before there is a reason.
            let turn = Box::pin(sleep_until(at));
            tokio::select! {
                () = turn => {}
                () = self.over.cancelled() => {}
            }
        }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("is_announced", &self.is_announced())
            .field("plan", &self.plan.get())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_go_in_turn_over_the_whole_time() {
        let drain = Drain::default();
        let places: Vec<_> = (0..1000).map(|_| DrainPlace::next()).collect();
        assert_eq!(drain.turn_of(places[0]), None);
        let over = Duration::from_secs(10);
        assert_eq!(drain.begin(places.len(), over), over);
        let begun = Instant::now();
        for second in 1..=10 {
            tokio::time::advance(Duration::from_secs(1)).await;
            let gone = places.iter().filter(|place| drain.is_turn_of(**place));
            let expected = second * 100;
            assert!(gone.count().abs_diff(expected) < 10, "second {second}");
        }
        drain.turn(DrainPlace(u32::MAX)).await;
        assert_eq!(begun.elapsed(), over);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_everybodys_turn() {
        let (drain, last) = (Drain::default(), DrainPlace(u32::MAX));
        drain.begin(1000, Duration::from_secs(10));
        let begun = Instant::now();
        let ends = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(!drain.is_turn_of(last));
            drain.end();
        };
        tokio::join!(drain.turn(last), ends);
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert!(drain.is_turn_of(last));
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_connections_do_not_take_the_whole_time() {
        let drain = Drain::default();
        assert_eq!(drain.begin(2, Duration::from_secs(10)), 2 * EACH_MAX);
        assert!(drain.is_announced());
        let none = Drain::default();
        assert_eq!(none.begin(0, Duration::from_secs(10)), Duration::ZERO);
        assert!(none.is_turn_of(DrainPlace(u32::MAX)));
    }
}
