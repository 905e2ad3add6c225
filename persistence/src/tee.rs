//! The tee: two policies at once.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use polywire_core::{
    Durability, History, PersistResult, PersistenceError, PersistencePolicy, Publication, Target,
};

use crate::retry::Retry;

/// Ways to combine policies; every policy has them.
pub trait PersistencePolicyExt: PersistencePolicy + Sized {
    /// Keeps publications in this policy and in `other`. See [`Tee`].
    fn tee<P: PersistencePolicy>(self, other: P) -> Tee<Self, P> {
        Tee {
            first: self,
            second: other,
        }
    }

    /// Tries again, `attempts_max` times in all, what the store could not take; the pause doubles. See
    /// [`Retry`].
    fn retry(self, attempts_max: u32, pause: Duration) -> Retry<Self> {
        Retry::new(self, attempts_max, pause)
    }
}

impl<P: PersistencePolicy> PersistencePolicyExt for P {}

/// Keeps every publication in two policies.
///
/// Both are asked at the same time, whatever the other answers. A publication that one of them refuses is
/// refused; an observer such as [`ExternalApi`](crate::ExternalApi) refuses none. History is read from the first
/// policy that has one.
///
/// # Examples
/// ```
/// use polywire_core::PersistencePolicy;
/// use polywire_persistence::{ExternalApi, NoPersistence, PersistencePolicyExt};
///
/// let policy = ExternalApi::new("https://example.com/log").unwrap().tee(NoPersistence);
/// assert!(policy.stores());
/// ```
#[derive(Debug, Clone)]
pub struct Tee<A, B> {
    first: A,
    second: B,
}

#[async_trait]
impl<A: PersistencePolicy, B: PersistencePolicy> PersistencePolicy for Tee<A, B> {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        let batch = std::slice::from_ref(publication);
        let kept = self.persist_all(batch).await.pop();
        kept.unwrap_or(Err(PersistenceError::Closed))
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        let (first, second) = tokio::join!(
            persist_all(&self.first, batch),
            persist_all(&self.second, batch)
        );
        first
            .into_iter()
            .zip(second)
            .map(|(first, second)| both(first, second))
            .collect()
    }

    fn waits(&self, target: &Target) -> bool {
        waits(&self.first, target) || waits(&self.second, target)
    }

    fn persist_now(&self, publication: &Arc<Publication>) -> PersistResult {
        both(
            persist_now(&self.first, publication),
            persist_now(&self.second, publication),
        )
    }

    fn stores(&self) -> bool {
        self.first.stores() || self.second.stores()
    }

    fn refuses(&self) -> bool {
        self.first.refuses() || self.second.refuses()
    }

    fn history(&self) -> Option<&dyn History> {
        self.first.history().or_else(|| self.second.history())
    }

    async fn stop(&self) {
        tokio::join!(self.first.stop(), self.second.stop());
    }
}

/// The safer of two answers; an error where one is.
fn both(first: PersistResult, second: PersistResult) -> PersistResult {
    Ok(first?.max(second?))
}

fn waits<P: PersistencePolicy>(policy: &P, target: &Target) -> bool {
    policy.stores() && policy.waits(target)
}

fn persist_now<P: PersistencePolicy>(policy: &P, publication: &Arc<Publication>) -> PersistResult {
    if policy.stores() {
        policy.persist_now(publication)
    } else {
        Ok(Durability::Delivered)
    }
}

/// One answer for each, also from a policy that does not wait.
async fn persist_all<P: PersistencePolicy>(
    policy: &P,
    batch: &[Arc<Publication>],
) -> Vec<PersistResult> {
    if !policy.stores() {
        return batch.iter().map(|_| Ok(Durability::Delivered)).collect();
    }
    let mut kept = policy.persist_all(batch).await;
    kept.resize(batch.len(), Err(PersistenceError::Closed));
    kept
}

#[cfg(test)]
mod tests {
    use polywire_core::{
        Channel, Draft, Payload, Position,
        testkit::{self, RecordingPolicy},
    };

    use super::*;
    use crate::NoPersistence;

    struct Broken;

    #[async_trait]
    impl PersistencePolicy for Broken {
        async fn persist(&self, _: &Arc<Publication>) -> PersistResult {
            Err(PersistenceError::Full)
        }
    }

    #[tokio::test]
    async fn both_keep_a_publication_also_when_one_fails() {
        let kept = Arc::new(RecordingPolicy::default());
        let draft = Draft::new(Channel::new("room").unwrap(), Payload::text("hello"));
        let publication = Arc::new(draft.at(Position::default()));
        let policy = Broken.tee(kept.clone());
        assert!(policy.persist(&publication).await.is_err());
        assert_eq!(kept.publications(), [(*publication).clone()]);
        assert!(!NoPersistence.tee(NoPersistence).stores());
    }

    #[tokio::test]
    async fn keeps_the_laws() {
        testkit::persistence_laws(|| RecordingPolicy::default().tee(Broken)).await;
    }
}
