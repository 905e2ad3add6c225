//! Counters of what a server dropped, closed or refused, by app and reason.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::log_limiter::LogLimiter;

/// The counters of a server: one for each app and reason that occurred. Apps and reasons are words of the program,
/// never what clients say, so that their number is bounded.
#[derive(Default)]
pub struct Counters(Mutex<BTreeMap<(&'static str, &'static str), Arc<Counter>>>);

impl Counters {
    /// The counter of `app` for `reason`, which is a few words in lower case such as `"slow consumer"`. Keep it where
    /// it is counted often.
    pub fn of(&self, app: &'static str, reason: &'static str) -> Arc<Counter> {
        self.0
            .lock()
            .entry((app, reason))
            .or_insert_with(|| Arc::new(Counter::new(app, reason)))
            .clone()
    }

    /// All counters, by app and reason.
    pub fn all(&self) -> Vec<Arc<Counter>> {
        self.0.lock().values().cloned().collect()
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

/// How often something was dropped, closed or refused. The log has a line of it, at most one in ten seconds.
#[derive(Debug)]
pub struct Counter {
    app: &'static str,
    reason: &'static str,
    count: AtomicU64,
    log: LogLimiter,
}

impl Counter {
    /// A counter of its own, which no list has: for tests and for what runs outside of a server.
    pub const fn new(app: &'static str, reason: &'static str) -> Self {
        Self {
            app,
            reason,
            count: AtomicU64::new(0),
            log: LogLimiter::new(),
        }
    }

    /// Counts one.
    pub fn add(&self) {
        self.add_many(1);
    }

    /// Counts so many.
    pub fn add_many(&self, times: u64) {
        let in_all = self.count.fetch_add(times, Ordering::Relaxed) + times;
        if let Some(times) = self.log.allow_for(times) {
            let (app, reason) = (self.app, self.reason);
            tracing::warn!(app, times, in_all, "{reason}");
        }
    }

    /// The app that counts; `"server"` for what no app does.
    pub fn app(&self) -> &'static str {
        self.app
    }

    /// What is counted.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// How often, since the start.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_counter_for_an_app_and_a_reason() {
        let counters = Counters::default();
        counters.of("seth", "slow consumer").add();
        counters.of("seth", "slow consumer").add_many(2);
        counters.of("emitter", "slow consumer").add();
        let all: Vec<_> = counters
            .all()
            .iter()
            .map(|counter| (counter.app(), counter.reason(), counter.count()))
            .collect();
        assert_eq!(
            all,
            [
                ("emitter", "slow consumer", 1),
                ("seth", "slow consumer", 3)
            ]
        );
    }
}
