//! Keep-alive: a client from which no whole packet comes for half as long again as it promised is closed (MQTT 5.0 section
//! 3.1.2.10), and so is one that does not finish a packet that it began. The time until CONNECT is watched alike.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Seconds that the clock looks ahead, at most.
const LOOK_SECS_MAX: u64 = 60;

/// A shorter keep-alive than so many seconds is too short for a clock of whole seconds.
const SHORT_SECS: u16 = 5;

/// When the last whole packet of a client came, and how long the next one may take. In seconds of the timer wheel.
#[derive(Debug)]
pub(super) struct KeepAlive {
    heard: AtomicU64,
    /// 0 for ever.
    silence_max: AtomicU64,
    /// When the packet began of which a part has come; [`NONE`] where there is none.
    begun: AtomicU64,
    /// How long a packet may take that has begun.
    packet_secs: u64,
    /// Of a client that promised packets so often that whole seconds are too long for it.
    short: OnceLock<Box<ShortKeepAlive>>,
}

/// A keep-alive with a clock of its own.
#[derive(Debug)]
struct ShortKeepAlive {
    begun: Instant,
    /// When the last whole packet came, in milliseconds since then.
    heard: AtomicU64,
    silence_max: Duration,
}

impl ShortKeepAlive {
    fn new(keep_alive_secs: u16) -> Self {
        Self {
            begun: Instant::now(),
            heard: AtomicU64::new(0),
            silence_max: Duration::from_secs(keep_alive_secs.into()) * 3 / 2,
        }
    }

    fn heard(&self) {
        let millis = self.begun.elapsed().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.heard.store(millis, Ordering::Relaxed);
    }

    /// How long the client may be silent from now on.
    fn left(&self) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        (heard + self.silence_max).saturating_sub(self.begun.elapsed())
    }
}

/// No packet has begun.
const NONE: u64 = u64::MAX;

/// What the clock finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    TooLong,
    /// To be looked at again in so many seconds.
    Allowed(u64),
}

impl KeepAlive {
    /// For a client that has not said CONNECT, and has so many seconds for it; later it has `packet_secs` for a packet
    /// that it began.
    pub(super) fn new(now: u64, connect_secs: u64, packet_secs: u64) -> Self {
        Self {
            heard: AtomicU64::new(now),
            silence_max: AtomicU64::new(connect_secs.max(1)),
            begun: AtomicU64::new(NONE),
            packet_secs: packet_secs.max(1),
            short: OnceLock::new(),
        }
    }

    /// Sets what the client promised; 0 for nothing.
    pub(super) fn set(&self, keep_alive_secs: u16) {
        // Half as long again as the client said, never less.
        let silence_max = u64::from(keep_alive_secs) * 3;
        self.silence_max
            .store(silence_max.div_ceil(2), Ordering::Relaxed);
        if (1..SHORT_SECS).contains(&keep_alive_secs) {
            // A client says it once.
            let _ = self.short.set(ShortKeepAlive::new(keep_alive_secs).into());
        }
    }

    /// How long a client may be silent from now on that promised packets often; `None` for others, for whom the timer
    /// wheel is near enough.
    pub(super) fn short_left(&self) -> Option<Duration> {
        Some(self.short.get()?.left())
    }

    /// A whole packet has come.
    pub(super) fn heard(&self, now: u64) {
        self.heard.store(now, Ordering::Relaxed);
        self.begun.store(NONE, Ordering::Relaxed);
        if let Some(short) = self.short.get() {
            short.heard();
        }
    }

    /// A part of a packet has come, and not its end.
    pub(super) fn unfinished(&self, now: u64) {
        // More of the same does not put the end off.
        if self.begun.load(Ordering::Relaxed) == NONE {
            self.begun.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn silence(&self, now: u64) -> Silence {
        let mut look = LOOK_SECS_MAX.min(self.packet_secs);
        let waits = [
            (&self.heard, self.silence_max.load(Ordering::Relaxed)),
            (&self.begun, self.packet_secs),
        ];
        for (since, max) in waits {
            let since = since.load(Ordering::Relaxed);
            if max == 0 || since == NONE {
                continue;
            }
            let waited = now.saturating_sub(since);
            // The clock has whole seconds: one more is never too early.
            if waited > max {
                return Silence::TooLong;
            }
            look = look.min(max + 1 - waited);
        }
        Silence::Allowed(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_be_silent_for_half_as_long_again() {
        let keep_alive = KeepAlive::new(100, 10, 90);
        assert_eq!(keep_alive.silence(110), Silence::Allowed(1));
        assert_eq!(keep_alive.silence(111), Silence::TooLong, "no CONNECT");
        keep_alive.set(5);
        assert_eq!(keep_alive.short_left(), None);
        keep_alive.heard(200);
        assert_eq!(keep_alive.silence(200), Silence::Allowed(9));
        assert_eq!(keep_alive.silence(208), Silence::Allowed(1));
        assert_eq!(keep_alive.silence(209), Silence::TooLong);
        keep_alive.set(u16::MAX);
        assert_eq!(keep_alive.silence(200), Silence::Allowed(60));
        keep_alive.set(0);
        assert_eq!(keep_alive.silence(u64::MAX - 1), Silence::Allowed(60));
    }

    #[test]
    fn a_short_keep_alive_has_a_clock_of_its_own() {
        let keep_alive = KeepAlive::new(0, 10, 30);
        assert_eq!(keep_alive.short_left(), None);
        keep_alive.set(1);
        let left = keep_alive.short_left().unwrap();
        assert!(left <= Duration::from_millis(1500));
        let short = keep_alive.short.get().unwrap();
        short.heard.store(60_000, Ordering::Relaxed);
        assert!(keep_alive.short_left().unwrap() > Duration::from_secs(50));
        keep_alive.heard(0);
        assert!(keep_alive.short_left().unwrap() <= Duration::from_millis(1500));
        let long = KeepAlive::new(0, 10, 30);
        long.set(60);
        assert_eq!(long.short_left(), None);
    }

    #[test]
    fn parts_of_a_packet_put_nothing_off() {
        let keep_alive = KeepAlive::new(100, 10, 30);
        keep_alive.set(20);
        keep_alive.heard(100);
        for now in 101..=130 {
            keep_alive.unfinished(now);
        }
        assert_eq!(keep_alive.silence(130), Silence::Allowed(1), "keep-alive");
        assert_eq!(keep_alive.silence(131), Silence::TooLong);
        keep_alive.set(0);
        assert_eq!(
            keep_alive.silence(131),
            Silence::Allowed(1),
            "no keep-alive"
        );
        assert_eq!(keep_alive.silence(132), Silence::TooLong);
        keep_alive.heard(132);
        assert_eq!(keep_alive.silence(132), Silence::Allowed(30));
        keep_alive.unfinished(140);
        assert_eq!(keep_alive.silence(140), Silence::Allowed(30));
    }
}
