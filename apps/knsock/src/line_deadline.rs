//! The deadline of a line: one that has begun must end in time, however often a byte of it comes.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use polywire_core::{
    Counter, Runtime,
    delivery::Link,
    transport::{CloseReason, Tick},
};

/// No line has begun.
const NONE: u64 = u64::MAX;

/// Ends a connection whose line does not end within `limits.body_secs`.
pub(crate) struct LineDeadline {
    link: Link,
    /// When the line began, in seconds of the timer wheel; [`NONE`] between lines.
    begun: AtomicU64,
    secs: u64,
    late: Arc<Counter>,
}

impl LineDeadline {
    pub(crate) fn start(runtime: &Runtime, link: Link, late: Arc<Counter>) -> Arc<Self> {
        let deadline = Arc::new(Self {
            link,
            begun: AtomicU64::new(NONE),
            secs: runtime.limits().body_secs,
            late,
        });
        let weak: Weak<Self> = Arc::downgrade(&deadline);
        runtime.wheel().add(weak, deadline.secs);
        deadline
    }

    /// A part of a line has come, and not its end.
    pub(crate) fn begun(&self, now: u64) {
        // More of the same does not put the end off.
        if self.begun.load(Ordering::Relaxed) == NONE {
            self.begun.store(now, Ordering::Relaxed);
        }
    }

    /// The line has ended.
    pub(crate) fn ended(&self) {
        self.begun.store(NONE, Ordering::Relaxed);
    }
}

impl Tick for LineDeadline {
    fn tick(&self, now: u64) -> Option<u64> {
        let begun = self.begun.load(Ordering::Relaxed);
        if begun == NONE {
            return Some(self.secs);
        }
        let waited = now.saturating_sub(begun);
        // The clock has whole seconds: one more is never too early.
        if waited > self.secs {
            self.late.add();
            self.link.close(&CloseReason::new(1000, ""));
            return None;
        }
        Some(self.secs + 1 - waited)
    }

    /// Its connection is told.
    fn stop(&self) {}
}
