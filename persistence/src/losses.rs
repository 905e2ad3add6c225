//! Losses: what was not stored, counted, and logged now and then.

use std::sync::atomic::{AtomicU64, Ordering};

use polywire_core::LogLimiter;

/// Counts losses. The first is logged at once, later ones together.
#[derive(Debug)]
pub(crate) struct Losses {
    store: &'static str,
    total: AtomicU64,
    log: LogLimiter,
}

impl Losses {
    pub(crate) fn new(store: &'static str) -> Self {
        Self {
            store,
            total: AtomicU64::new(0),
            log: LogLimiter::new(),
        }
    }

    /// Publications that were lost so far.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: u64, why: &str) {
        if count == 0 {
            return;
        }
        self.total.fetch_add(count, Ordering::Relaxed);
        let Some(untold) = self.log.allow_for(count) else {
            return;
        };
        self.tell(untold, why);
    }

    /// Logs what was not logged yet.
    pub(crate) fn tell_rest(&self) {
        let untold = self.log.take_rest();
        if untold > 0 {
            self.tell(untold, "see above");
        }
    }

    fn tell(&self, lost: u64, why: &str) {
        let total = self.total();
        tracing::warn!(
            store = self.store,
            lost,
            total,
            why,
            "publications were not stored"
        );
    }
}
