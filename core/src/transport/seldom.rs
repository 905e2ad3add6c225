//! Log lines that others could cause in any number.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A line stands for all of its sort in this time.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one line pass now and then, and counts what it stands for.
#[derive(Debug)]
pub(super) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    pub(super) const fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// When a line may be written: how often the same happened since the last one.
    pub(super) fn pass(&self) -> Option<u64> {
        let mut state = self.0.lock();
        let (last, count) = &mut *state;
        *count += 1;
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return None;
        }
        *last = Some(Instant::now());
        Some(std::mem::take(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_passes_and_the_next_is_held_back() {
        let seldom = Seldom::new();
        assert_eq!(seldom.pass(), Some(1));
        assert_eq!(seldom.pass(), None);
        assert_eq!(seldom.pass(), None);
        tokio::time::advance(EVERY).await;
        assert_eq!(seldom.pass(), Some(3));
    }
}
