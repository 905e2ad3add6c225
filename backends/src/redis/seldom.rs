//! Log lines that others could cause in any number.

use std::time::{Duration, Instant};

/// A line stands for all of its sort in this time.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one line pass now and then, and counts what it stands for.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    last: Option<Instant>,
    held_back: u64,
}

impl Seldom {
    /// When a line may be written: how often the same happened since the last one.
    pub(super) fn pass(&mut self) -> Option<u64> {
        self.held_back += 1;
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_passes_and_the_next_is_held_back() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.pass(), Some(1));
        assert_eq!(seldom.pass(), None);
        assert_eq!(seldom.pass(), None);
        seldom.last = None;
        assert_eq!(seldom.pass(), Some(3));
    }
}
