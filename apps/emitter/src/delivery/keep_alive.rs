//! Keep-alive: a client that says nothing for half as long again as it promised is closed (MQTT 5.0 section 3.1.2.10).
//! The time until CONNECT is watched alike.

use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds that the clock looks ahead, at most.
const LOOK_SECS_MAX: u64 = 60;

/// When a client was heard, and how long it may say nothing. In seconds of the timer wheel.
#[derive(Debug)]
pub(super) struct KeepAlive {
    heard: AtomicU64,
    /// 0 for ever.
    silence_max: AtomicU64,
}

/// What the clock finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nobody looks again.
    Unlimited,
    TooLong,
    /// To be looked at again in so many seconds.
    Allowed(u64),
}

impl KeepAlive {
    /// For a client that has not said CONNECT, and has so many seconds for it.
    pub(super) fn new(now: u64, connect_secs: u64) -> Self {
        Self {
            heard: AtomicU64::new(now),
            silence_max: AtomicU64::new(connect_secs.max(1)),
        }
    }

    /// Sets what the client promised; 0 for nothing.
    pub(super) fn set(&self, keep_alive_secs: u16) {
        // Half as long again as the client said, never less.
        let silence_max = u64::from(keep_alive_secs) * 3;
        self.silence_max
            .store(silence_max.div_ceil(2), Ordering::Relaxed);
    }

    pub(super) fn heard(&self, now: u64) {
        self.heard.store(now, Ordering::Relaxed);
    }

    pub(super) fn silence(&self, now: u64) -> Silence {
        let max = self.silence_max.load(Ordering::Relaxed);
        if max == 0 {
            return Silence::Unlimited;
        }
        let silent = now.saturating_sub(self.heard.load(Ordering::Relaxed));
        // The clock has whole seconds: one more is never too early.
        if silent > max {
            return Silence::TooLong;
        }
        Silence::Allowed((max + 1 - silent).min(LOOK_SECS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_be_silent_for_half_as_long_again() {
        let keep_alive = KeepAlive::new(100, 10);
        assert_eq!(keep_alive.silence(110), Silence::Allowed(1));
        assert_eq!(keep_alive.silence(111), Silence::TooLong, "no CONNECT");
        keep_alive.set(5);
        keep_alive.heard(200);
        assert_eq!(keep_alive.silence(200), Silence::Allowed(9));
        assert_eq!(keep_alive.silence(208), Silence::Allowed(1));
        assert_eq!(keep_alive.silence(209), Silence::TooLong);
        keep_alive.set(u16::MAX);
        assert_eq!(keep_alive.silence(200), Silence::Allowed(60));
        keep_alive.set(0);
        assert_eq!(keep_alive.silence(u64::MAX), Silence::Unlimited);
    }
}
