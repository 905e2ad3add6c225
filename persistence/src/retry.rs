//! A policy that is tried again.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use polywire_core::{
    History, PersistResult, PersistenceError, PersistencePolicy, Publication, Target,
};

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Has a policy try again what its store could not take, before the publisher is refused.
///
/// Publishers wait meanwhile, and with them whatever comes after. A store that is full or closed is not
/// tried again. Made by [`retry`](crate::PersistencePolicyExt::retry).
///
/// # Examples
/// ```
/// use polywire_persistence::{NoPersistence, PersistencePolicyExt};
/// use std::time::Duration;
///
/// let policy = NoPersistence.retry(3, Duration::from_millis(50));
/// ```
#[derive(Debug, Clone)]
pub struct Retry<P> {
    policy: P,
    attempts_max: u32,
    pause: Duration,
}

impl<P> Retry<P> {
    pub(crate) fn new(policy: P, attempts_max: u32, pause: Duration) -> Self {
        Self {
            policy,
            attempts_max,
            pause,
        }
    }
}

/// Trying again may help.
fn may_help(kept: &PersistResult) -> bool {
    matches!(kept, Err(PersistenceError::Store(_)))
}

#[async_trait]
impl<P: PersistencePolicy> PersistencePolicy for Retry<P> {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        let kept = self.persist_all(std::slice::from_ref(publication)).await;
        kept.into_iter()
            .next()
            .unwrap_or(Err(PersistenceError::Closed))
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        let mut kept = self.policy.persist_all(batch).await;
        kept.resize(batch.len(), Err(PersistenceError::Closed));
        let mut pause = self.pause;
        for _ in 1..self.attempts_max {
            let again: Vec<_> = (0..batch.len()).filter(|n| may_help(&kept[*n])).collect();
            if again.is_empty() {
                break;
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
            // In the same order: those of one channel stay in the order of their positions.
            let publications: Vec<_> = again.iter().map(|n| batch[*n].clone()).collect();
            let answers = self.policy.persist_all(&publications).await;
            for (n, answer) in again.into_iter().zip(answers) {
                kept[n] = answer;
            }
        }
        kept
    }

    fn waits(&self, target: &Target) -> bool {
        self.policy.waits(target)
    }

    fn persist_now(&self, publication: &Arc<Publication>) -> PersistResult {
        self.policy.persist_now(publication)
    }

    fn stores(&self) -> bool {
        self.policy.stores()
    }

    fn refuses(&self) -> bool {
        self.policy.refuses()
    }

    fn history(&self) -> Option<&dyn History> {
        self.policy.history()
    }

    async fn stop(&self) {
        self.policy.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use polywire_core::{
        Channel, Draft, Durability, Payload, Position,
        testkit::{self, RecordingPolicy},
    };

    use super::*;
    use crate::PersistencePolicyExt;

    /// Fails some times, then works.
    struct Fails {
        left: AtomicUsize,
        error: PersistenceError,
    }

    #[async_trait]
    impl PersistencePolicy for Fails {
        async fn persist(&self, _: &Arc<Publication>) -> PersistResult {
            let left = self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            match left {
                Ok(_) => Err(self.error.clone()),
                Err(_) => Ok(Durability::Synced),
            }
        }
    }

    async fn kept(times: usize, error: PersistenceError) -> PersistResult {
        let draft = Draft::new(Channel::new("room").unwrap(), Payload::text("hello"));
        let policy = Fails {
            left: times.into(),
            error,
        };
        let policy = policy.retry(3, Duration::from_millis(10));
        policy
            .persist(&Arc::new(draft.at(Position::default())))
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_is_tried_again_and_a_full_one_is_not() {
        let broken = || PersistenceError::store("broken");
        assert_eq!(kept(2, broken()).await.unwrap(), Durability::Synced);
        assert!(kept(3, broken()).await.is_err());
        assert!(kept(1, PersistenceError::Full).await.is_err());
    }

    #[tokio::test]
    async fn keeps_the_laws() {
        let policy = || RecordingPolicy::default().retry(2, Duration::from_millis(1));
        testkit::persistence_laws(policy).await;
    }
}
