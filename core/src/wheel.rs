//! The timer wheel: one clock for all connections.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Something with a heartbeat.
pub trait Tick: Send + Sync + 'static {
    /// The time has come; returns the seconds until the next time, or `None` for never again.
    fn tick(&self, now: u64) -> Option<u64>;

    /// The server stops: say so to the client.
    fn stop(&self);
}

/// Those who are told in turn that the server stops are told in steps of this.
const STEP: Duration = Duration::from_millis(20);

/// Seconds that the wheel reaches ahead.
const SLOTS: usize = 64;

/// Calls every connection when its time has come, in steps of one second, so that no connection needs a
/// timer of its own. It also knows all of them when the server stops.
pub struct Wheel {
    now: AtomicU64,
    /// Whoever is added from now on is told at once.
    stopped: AtomicBool,
    slots: Box<[Slot]>,
}

/// Who is called in one second.
type Slot = Mutex<Vec<Weak<dyn Tick>>>;

impl Default for Wheel {
    fn default() -> Self {
        Self {
            now: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Wheel {
    /// Seconds since the wheel began to turn.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Calls `what` in `seconds`, at least 1 and at most 63.
    pub fn add(&self, what: Weak<dyn Tick>, seconds: u64) {
        let ahead = seconds.clamp(1, SLOTS as u64 - 1);
        let slot = (self.now() + ahead) as usize % SLOTS;
        let added = what.clone();
        push(&mut self.slots[slot].lock(), what);
        // Either `stop_all` finds it in its slot, or it is seen here that `stop_all` was faster.
        if self.stopped.load(Ordering::SeqCst)
            && let Some(added) = added.upgrade()
        {
            added.stop();
        }
    }

    /// Turns the wheel until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut interval = tokio::time::interval(Duration::from_secs(1));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        interval.tick().await;
        loop {
            tokio::select! {
                _ = interval.tick() => self.turn(),
                () = stop.cancelled() => return,
            }
        }
    }

    fn turn(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        let due = std::mem::take(&mut *self.slots[now as usize % SLOTS].lock());
        for weak in due {
            let Some(strong) = weak.upgrade() else {
                continue;
            };
            if let Some(next) = strong.tick(now) {
                self.add(weak, next);
            }
        }
    }

    /// Tells everyone who is there that the server stops, one after the other in this time. Whoever comes meanwhile is told by
    /// [`stop_all`](Self::stop_all).
    pub async fn stop_in_turn(&self, over: Duration) {
        let mut waiting: Vec<_> = (self.slots.iter())
            .flat_map(|slot| slot.lock().clone())
            .collect();
        let begun = tokio::time::Instant::now();
        let steps = (over.as_millis() / STEP.as_millis()) as usize;
        let count = waiting.len();
        for step in 1..=steps {
            tokio::time::sleep_until(begun + STEP * step as u32).await;
            let left = count - count * step / steps;
            for what in waiting.drain(left..) {
                if let Some(what) = what.upgrade() {
                    what.stop();
                }
            }
        }
    }

    /// Tells everyone that the server stops.
    pub fn stop_all(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            let all = slot.lock().clone();
            for what in all.iter().filter_map(Weak::upgrade) {
                what.stop();
            }
        }
    }
}

/// Before a list grows, those who have ended leave it: what is left of them in memory waits for their time to
/// come, and clients that come and go quickly would leave much. Each is looked at once for every one that is
/// added, at most.
fn push(list: &mut Vec<Weak<dyn Tick>>, what: Weak<dyn Tick>) {
    if list.len() == list.capacity() {
        list.retain(|weak| weak.strong_count() > 0);
        if list.len() > list.capacity() / 2 {
            list.reserve(list.capacity());
        }
    }
    list.push(what);
}

impl fmt::Debug for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wheel({} s)", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Counter {
        ticks: AtomicUsize,
        stops: AtomicUsize,
    }

    impl Tick for Counter {
        fn tick(&self, _: u64) -> Option<u64> {
            self.ticks.fetch_add(1, Ordering::Relaxed);
            Some(2)
        }
        fn stop(&self) {
            self.stops.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn those_who_went_leave_no_more_than_those_who_stay() {
        let wheel = Wheel::default();
        let stays: Vec<_> = (0..100).map(|_| Arc::new(Counter::default())).collect();
        let add = |counter: &Arc<Counter>| {
            let weak: Weak<Counter> = Arc::downgrade(counter);
            wheel.add(weak, 5);
        };
        stays.iter().for_each(add);
        for _ in 0..10_000 {
            add(&Arc::new(Counter::default()));
        }
        let kept = wheel.slots[5].lock().len();
        assert!((100..=400).contains(&kept), "{kept}");
        (0..5).for_each(|_| wheel.turn());
        assert!(
            stays
                .iter()
                .all(|counter| counter.ticks.load(Ordering::Relaxed) == 1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_are_there_are_told_in_turn() {
        let wheel = Wheel::default();
        let all: Vec<_> = (0..10).map(|_| Arc::new(Counter::default())).collect();
        for (index, counter) in all.iter().enumerate() {
            let weak: Weak<Counter> = Arc::downgrade(counter);
            wheel.add(weak, index as u64 + 1);
        }
        let told = || {
            let told = all.iter().map(|one| one.stops.load(Ordering::Relaxed));
            told.sum::<usize>()
        };
        let half = async {
            tokio::time::sleep(Duration::from_millis(1010)).await;
            assert_eq!(told(), 5);
        };
        tokio::join!(wheel.stop_in_turn(Duration::from_secs(2)), half);
        assert_eq!(told(), 10);
    }

    #[test]
    fn calls_again_until_dropped() {
        let wheel = Wheel::default();
        let counter = Arc::new(Counter::default());
        let weak: Weak<Counter> = Arc::downgrade(&counter);
        wheel.add(weak, 3);
        for _ in 0..9 {
            wheel.turn();
        }
        assert_eq!(
            counter.ticks.load(Ordering::Relaxed),
            4,
            "at 3, 5, 7 and 9 s"
        );
        wheel.stop_all();
        assert_eq!(counter.stops.load(Ordering::Relaxed), 1);
        let weak: Weak<Counter> = Arc::downgrade(&counter);
        wheel.add(weak, 1);
        assert_eq!(counter.stops.load(Ordering::Relaxed), 2, "too late to tick");
        drop(counter);
        for _ in 0..SLOTS {
            wheel.turn();
        }
        assert!(wheel.slots.iter().all(|slot| slot.lock().is_empty()));
    }
}
