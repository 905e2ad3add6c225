//! Turns of long evaluations: one at a time.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Whose turn it is. However many clients have dear filters, what they take is one thread at most, and the memory of
/// one message that was parsed.
#[derive(Debug)]
pub(crate) struct Turns {
    turn: Semaphore,
    #[cfg(test)]
    steps: std::sync::atomic::AtomicUsize,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            turn: Semaphore::new(1),
            #[cfg(test)]
            steps: Default::default(),
        }
    }
}

impl Turns {
    /// Waits for its turn, behind all who came before. It is always some: turns are not closed.
    pub(super) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        self.turn.acquire().await.ok()
    }
}

#[cfg(test)]
impl Turns {
    /// Counts steps that were taken in a turn.
    pub(super) fn count(&self, steps: usize) {
        self.steps
            .fetch_add(steps, std::sync::atomic::Ordering::Relaxed);
    }

    /// Steps of all turns.
    pub(super) fn steps(&self) -> usize {
        self.steps.load(std::sync::atomic::Ordering::Relaxed)
    }
}
