//! Two policies at once.

use async_trait::async_trait;
use polywire_core::{PersistenceError, PersistencePolicy, Publication};

/// Ways to combine policies; every policy has them.
pub trait PersistencePolicyExt: PersistencePolicy + Sized {
    /// Keeps publications in this policy and in `other`. See [`Tee`].
    fn tee<P: PersistencePolicy>(self, other: P) -> Tee<Self, P> {
        Tee {
            first: self,
            second: other,
        }
    }
}

impl<P: PersistencePolicy> PersistencePolicyExt for P {}

/// Keeps every publication in two policies.
///
/// Both are asked at the same time, whatever the other answers; the error is that of the first policy that
/// has one.
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
    async fn persist(&self, publication: &Publication) -> Result<(), PersistenceError> {
        let (first, second) = tokio::join!(
            persist(&self.first, publication),
            persist(&self.second, publication)
        );
        first.and(second)
    }

    fn stores(&self) -> bool {
        self.first.stores() || self.second.stores()
    }

    async fn stop(&self) {
        tokio::join!(self.first.stop(), self.second.stop());
    }
}

async fn persist<P: PersistencePolicy>(
    policy: &P,
    publication: &Publication,
) -> Result<(), PersistenceError> {
    if policy.stores() {
        policy.persist(publication).await
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use polywire_core::{
        Channel, Draft, Payload, Position,
        testkit::{self, RecordingPolicy},
    };

    use super::*;
    use crate::NoPersistence;

    struct Broken;

    #[async_trait]
    impl PersistencePolicy for Broken {
        async fn persist(&self, _: &Publication) -> Result<(), PersistenceError> {
            Err(PersistenceError::Overloaded)
        }
    }

    #[tokio::test]
    async fn both_keep_a_publication_also_when_one_fails() {
        let kept = Arc::new(RecordingPolicy::default());
        let draft = Draft::new(Channel::new("room").unwrap(), Payload::text("hello"));
        let publication = draft.at(Position::default());
        let policy = Broken.tee(kept.clone());
        assert!(policy.persist(&publication).await.is_err());
        assert_eq!(kept.publications(), [publication]);
        assert!(!NoPersistence.tee(NoPersistence).stores());
    }

    #[tokio::test]
    async fn keeps_the_laws() {
        testkit::persistence_laws(|| RecordingPolicy::default().tee(Broken)).await;
    }
}
