//! The simplest part of each sort.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{
    AuthenticationError, AuthenticationPolicy, BackendError, Credentials, Draft, Durability,
    Identity, LocalNode, PersistResult, PersistencePolicy, Placed, PubSubBackend, Publication,
    Receipt,
};

/// A backend of one node.
#[derive(Debug, Default)]
pub struct LocalBackend(OnceLock<LocalNode>);

#[async_trait]
impl PubSubBackend for LocalBackend {
    async fn start(&self, node: LocalNode) -> Result<(), BackendError> {
        self.0.set(node).map_err(|_| BackendError::NotRunning)
    }

    async fn publish(&self, draft: Draft) -> Result<Receipt, BackendError> {
        Ok(self
            .0
            .get()
            .ok_or(BackendError::NotRunning)?
            .publish(draft)
            .await?)
    }

    async fn place(&self, draft: Draft) -> Result<Placed, BackendError> {
        let node = self.0.get().ok_or(BackendError::NotRunning)?;
        Ok(node.place(draft).await?.into())
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// Lets everybody do everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

#[async_trait]
impl AuthenticationPolicy for AllowAll {
    async fn authenticate(&self, _: &Credentials) -> Result<Identity, AuthenticationError> {
        Ok(Identity::unrestricted())
    }
}

/// Keeps in memory what it is to store.
#[derive(Debug, Default)]
pub struct RecordingPolicy {
    publications: Mutex<Vec<Publication>>,
}

impl RecordingPolicy {
    /// What was stored so far, in the order of the calls.
    pub fn publications(&self) -> Vec<Publication> {
        self.publications.lock().clone()
    }
}

#[async_trait]
impl PersistencePolicy for RecordingPolicy {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        self.publications.lock().push((**publication).clone());
        Ok(Durability::Memory)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{StandardDispatcher, testkit};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_simplest_parts_keep_the_laws() {
        testkit::backend_laws(LocalBackend::default).await;
        testkit::authentication_laws(|| AllowAll, &[Credentials::default()], &[], &[]).await;
        testkit::persistence_laws(RecordingPolicy::default).await;
        testkit::dispatcher_laws(StandardDispatcher::default).await;
    }

    /// Breaks one law now and then.
    #[derive(Clone, Copy, Debug)]
    enum Fault {
        DeliversTwice,
        Loses,
        ForgetsTheException,
        StoresTwice,
        HangsOnSubscribe,
    }

    struct Faulty {
        inner: LocalBackend,
        fault: Fault,
        published: AtomicUsize,
    }

    #[async_trait]
    impl PubSubBackend for Faulty {
        async fn start(&self, node: LocalNode) -> Result<(), BackendError> {
            self.inner.start(node).await
        }

        async fn publish(&self, mut draft: Draft) -> Result<Receipt, BackendError> {
            let now_and_then = self.published.fetch_add(1, Ordering::Relaxed) % 20 == 7;
            match self.fault {
                Fault::DeliversTwice if now_and_then => {
                    self.inner.publish(draft.clone()).await?;
                }
                Fault::Loses if now_and_then => {
                    draft.target = crate::Channel::new("nowhere").unwrap().into();
                }
                Fault::ForgetsTheException => draft.except = None,
                _ => {}
            }
            let receipt = self.inner.publish(draft.clone()).await?;
            if let (Fault::StoresTwice, Some(node)) = (self.fault, self.inner.0.get()) {
                node.persist(&Arc::new(draft.at(receipt.position))).await?;
            }
            Ok(receipt)
        }

        async fn subscribe(&self, _: &crate::Interest) -> Result<(), BackendError> {
            if let Fault::HangsOnSubscribe = self.fault {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_suite_finds_faults() {
        use Fault::{DeliversTwice, ForgetsTheException, HangsOnSubscribe, Loses, StoresTwice};
        for fault in [
            DeliversTwice,
            Loses,
            ForgetsTheException,
            StoresTwice,
            HangsOnSubscribe,
        ] {
            let suite = testkit::backend_laws(move || Faulty {
                inner: LocalBackend::default(),
                fault,
                published: AtomicUsize::new(0),
            });
            let outcome = tokio::spawn(suite).await;
            assert!(
                outcome.is_err_and(|error| error.is_panic()),
                "{fault:?} must be found"
            );
        }
    }
}
