//! The contract of a persistence policy.

mod annotation;
mod continuity;
mod durability;
mod error;
mod history;
mod query;
mod rules;

pub use self::{
    annotation::Annotation,
    continuity::{Continuation, read_after},
    durability::Durability,
    error::{HistoryError, PersistenceError},
    history::History,
    query::{Order, Page, Query, Span, Stored},
    rules::{DurabilitySetting, Rule, RuleSettings, Rules},
};

use std::sync::Arc;

use async_trait::async_trait;

use crate::publication::{Publication, Target};

/// What became of a publication that was to be kept.
pub type PersistResult = Result<Durability, PersistenceError>;

/// Keeps publications.
///
/// # Laws
/// - It is handed every publication that its publisher wants stored, once, on the node where it was
///   published, after it got its position and before anybody sees it. Those of one channel come in the order
///   of their positions.
/// - [`persist_all`](Self::persist_all) is not called again before it returned, and gets what came in
///   meanwhile: a store that syncs once for each call so syncs once for many publishers. Publishers wait for it,
///   and when more waits than the node has room for, new publications wait before they get their place.
/// - An error refuses the publication: its publisher is told and nobody gets it. A policy whose store may
///   fail without that (an observer, a log) takes the publication into a bounded queue of its own, and
///   answers [`Durability::Delivered`] though the store is away; what it drops is counted and logged.
/// - The future may be dropped at any await; the publications then count as not stored.
///
/// [`testkit::persistence_laws`](crate::testkit) checks an implementation.
///
/// # Examples
/// ```
/// use polywire_core::{Durability, PersistResult, PersistencePolicy, Publication};
/// use std::sync::Arc;
///
/// /// Prints what is published.
/// struct Print;
///
/// #[async_trait::async_trait]
/// impl PersistencePolicy for Print {
///     async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
///         println!("{:?}: {:?}", publication.target, publication.payload);
///         Ok(Durability::Delivered)
///     }
/// }
/// ```
#[async_trait]
pub trait PersistencePolicy: Send + Sync + 'static {
    /// Keeps one publication.
    ///
    /// # Errors
    /// When it was not kept.
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult;

    /// Keeps a batch, and says of each what became of it, in the same order. A publication without an answer
    /// counts as not kept. By default one after the other.
    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        let mut kept = Vec::with_capacity(batch.len());
        for publication in batch {
            kept.push(self.persist(publication).await);
        }
        kept
    }

    /// False when keeping what goes to `target` takes no waiting: then
    /// [`persist_now`](Self::persist_now) is called instead, for a channel always or never.
    fn waits(&self, target: &Target) -> bool {
        let _ = target;
        true
    }

    /// Keeps one publication without waiting. Called under the lock of its channel, so it must be short and
    /// must not call the hub; different channels call at the same time.
    ///
    /// # Errors
    /// When it was not kept; always where [`waits`](Self::waits) says true.
    fn persist_now(&self, publication: &Arc<Publication>) -> PersistResult {
        let _ = publication;
        Err(PersistenceError::Closed)
    }

    /// False when the policy keeps nothing at all, so that it need not be called. Fixed.
    fn stores(&self) -> bool {
        true
    }

    /// False when the policy refuses nothing that it is handed, and never makes anybody wait: an observer. Only such a one
    /// goes with a backend that announces a publication before a policy [has kept it](crate::PubSubBackend::stores_first).
    /// Fixed.
    fn refuses(&self) -> bool {
        self.stores()
    }

    /// What was kept, to be read again, where the policy can do that.
    fn history(&self) -> Option<&dyn History> {
        None
    }

    /// Writes out what is still queued; called once, when the node stops. The caller bounds the wait.
    async fn stop(&self) {}
}

const _: fn(&dyn PersistencePolicy) = |_| ();

#[async_trait]
impl<P: PersistencePolicy + ?Sized> PersistencePolicy for Arc<P> {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        (**self).persist(publication).await
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        (**self).persist_all(batch).await
    }

    fn waits(&self, target: &Target) -> bool {
        (**self).waits(target)
    }

    fn persist_now(&self, publication: &Arc<Publication>) -> PersistResult {
        (**self).persist_now(publication)
    }

    fn stores(&self) -> bool {
        (**self).stores()
    }

    fn refuses(&self) -> bool {
        (**self).refuses()
    }

    fn history(&self) -> Option<&dyn History> {
        (**self).history()
    }

    async fn stop(&self) {
        (**self).stop().await;
    }
}
