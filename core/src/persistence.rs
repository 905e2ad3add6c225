//! What a persistence policy promises.

use std::sync::Arc;

use async_trait::async_trait;

use crate::publication::Publication;

/// Keeps publications.
///
/// # Laws
/// - [`persist`](Self::persist) is called once for every publication that its publisher wants stored,
///   on the node where it was published, after it got its position. Publications of one channel may be
///   under way together and may arrive out of order: the position tells.
/// - Fan-out and the publisher's acknowledgement wait for it, so a policy that talks to something slow
///   takes the publication into a queue of its own and returns.
/// - An error never stops a publication: it is delivered, and the loss is counted and logged.
/// - Whatever a policy queues has a bound, and what it drops is counted and logged.
/// - The future may be dropped at any await; the publication then counts as not stored.
///
/// [`testkit::persistence_laws`](crate::testkit) checks an implementation.
///
/// # Examples
/// ```
/// use polywire_core::{PersistenceError, PersistencePolicy, Publication};
///
/// /// Prints what is published.
/// struct Print;
///
/// #[async_trait::async_trait]
/// impl PersistencePolicy for Print {
///     async fn persist(&self, publication: &Publication) -> Result<(), PersistenceError> {
///         println!("{:?}: {:?}", publication.target, publication.payload);
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait PersistencePolicy: Send + Sync + 'static {
    /// Keeps one publication.
    ///
    /// # Errors
    /// When it was not kept.
    async fn persist(&self, publication: &Publication) -> Result<(), PersistenceError>;

    /// False when [`persist`](Self::persist) does nothing, so that the call can be left out.
    fn stores(&self) -> bool {
        true
    }

    /// Writes out what is still queued; called once, when the node stops. The caller bounds the wait.
    async fn stop(&self) {}
}

const _: fn(&dyn PersistencePolicy) = |_| ();

#[async_trait]
impl<P: PersistencePolicy + ?Sized> PersistencePolicy for Arc<P> {
    async fn persist(&self, publication: &Publication) -> Result<(), PersistenceError> {
        (**self).persist(publication).await
    }

    fn stores(&self) -> bool {
        (**self).stores()
    }

    async fn stop(&self) {
        (**self).stop().await;
    }
}

/// Why a publication was not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersistenceError {
    /// The policy's queue is full. The policy has counted and logged that itself.
    #[error("the persistence queue is full")]
    Overloaded,
    /// The store cannot be reached or refused.
    #[error("the store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A setting is wrong; the text says which and what to do.
    #[error("{0}")]
    Configuration(String),
}
