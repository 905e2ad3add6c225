//! The source of timetokens.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use super::Timetoken;

/// Gives timetokens that only rise, also when the clock of the machine is set back.
///
/// One number for all threads is what the promise takes. It has its cache lines for itself: what lies
/// beside it is read for every publication, and would be fetched anew after each tick of another core.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Clock {
    last: AtomicU64,
}

impl Clock {
    /// A timetoken greater than every one given or [observed](Self::observe) before.
    pub fn tick(&self) -> Timetoken {
        let now = Self::now();
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = now.max(last + 1);
            match self
                .last
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Timetoken(next),
                Err(seen) => last = seen,
            }
        }
    }

    /// The greatest timetoken given or observed.
    pub fn last(&self) -> Timetoken {
        Timetoken(self.last.load(Ordering::Relaxed))
    }

    /// Makes later ticks greater than a timetoken that came from elsewhere.
    pub fn observe(&self, seen: Timetoken) {
        self.last.fetch_max(seen.0, Ordering::Relaxed);
    }

    fn now() -> u64 {
        // A clock before 1970 counts as 1970: ticks rise all the same.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_nanos() / 100).unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_rise_even_after_a_time_from_the_future() {
        let clock = Clock::default();
        let first = clock.tick();
        let future = Timetoken(first.0 + 36_000_000_000);
        clock.observe(future);
        let next = clock.tick();
        assert!(next > future);
        assert!(clock.tick() > next);
    }
}
