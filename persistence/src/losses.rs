//! Losses: what was not stored, counted, and logged now and then.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A line of log covers the losses of this time.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Counts losses. The first is logged at once, later ones together.
#[derive(Debug)]
pub(crate) struct Losses {
    store: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    total: u64,
    untold: u64,
    told_at: Option<Instant>,
}

impl Losses {
    pub(crate) fn new(store: &'static str) -> Self {
        Self {
            store,
            state: Mutex::default(),
        }
    }

    /// Publications that were lost so far.
    pub(crate) fn total(&self) -> u64 {
        self.state.lock().total
    }

    pub(crate) fn add(&self, count: u64, why: &str) {
        let untold = {
            let mut state = self.state.lock();
            state.total += count;
            state.untold += count;
            let quiet = state
                .told_at
                .is_some_and(|told_at| told_at.elapsed() < LOG_EVERY);
            if quiet || state.untold == 0 {
                return;
            }
            state.told_at = Some(Instant::now());
            std::mem::take(&mut state.untold)
        };
        self.tell(untold, why);
    }

    /// Logs what was not logged yet.
    pub(crate) fn tell_rest(&self) {
        let untold = std::mem::take(&mut self.state.lock().untold);
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
