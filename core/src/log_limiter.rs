//! A limit for log lines that others could cause in any number.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A line stands for all of its sort in this time.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one line of a sort through in ten seconds, and counts what it stands for. Make one for each sort of line, as a
/// `static` or beside what it is about.
#[derive(Debug)]
pub struct LogLimiter(Mutex<(Option<Instant>, u64)>);

impl LogLimiter {
    /// A limiter that lets the first line through.
    pub const fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// When a line may be written: how often the same happened since the last one.
    pub fn allow(&self) -> Option<u64> {
        self.allow_for(1)
    }

    /// [`allow`](Self::allow) for something that happened so many times.
    pub fn allow_for(&self, times: u64) -> Option<u64> {
        let mut state = self.0.lock();
        let (last, count) = &mut *state;
        *count += times;
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return None;
        }
        *last = Some(Instant::now());
        Some(std::mem::take(count))
    }

    /// How often it happened since the last line, where there is to be none after it.
    pub fn take_rest(&self) -> u64 {
        std::mem::take(&mut self.0.lock().1)
    }
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_passes_and_the_next_is_held_back() {
        let limiter = LogLimiter::new();
        assert_eq!(limiter.allow(), Some(1));
        assert_eq!(limiter.allow(), None);
        assert_eq!(limiter.allow(), None);
        tokio::time::advance(EVERY).await;
        assert_eq!(limiter.allow(), Some(3));
    }
}
