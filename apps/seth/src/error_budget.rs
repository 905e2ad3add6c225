//! The error budget of a client: how many errors it is told of.

use std::time::Instant;

/// Errors that a client is told of at once.
const BURST: u32 = 100;

/// Errors that a client is told of in a second, when it goes on.
const PER_SECOND: f64 = 10.0;

/// A budget for error messages: a client that sends nonsense without end is not answered without end.
#[derive(Debug)]
pub(crate) struct ErrorBudget {
    left: f64,
    at: Instant,
}

impl ErrorBudget {
    pub(crate) fn new() -> Self {
        Self {
            left: f64::from(BURST),
            at: Instant::now(),
        }
    }

    /// True when one more may be sent.
    pub(crate) fn take(&mut self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND;
        self.at = now;
        self.left = (self.left + gained).min(f64::from(BURST));
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_then_a_trickle() {
        let mut budget = ErrorBudget::new();
        let start = budget.at;
        assert_eq!((0..200).filter(|_| budget.take_at(start)).count(), 100);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..200).filter(|_| budget.take_at(later)).count(), 10);
    }
}
