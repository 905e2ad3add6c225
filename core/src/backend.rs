//! The contract of a pub/sub backend.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};

use crate::{
    hub::{LocalNode, PlacedHere},
    interest::Interest,
    persistence::{History, PersistenceError},
    publication::Draft,
    receipt::Receipt,
};

/// Gives every publication its place and carries it to all nodes.
///
/// # Laws
/// - [`start`](Self::start) is called once, before anything else, and returns without waiting for
///   another system to come up: a backend connects in the background and says how it fares in
///   [`status`](Self::status).
/// - A publication reaches every node with a subscriber once, and the publishing node like the others.
///   All subscribers of a channel see one order. The numbers of publications that are to be stored rise
///   by one, the others carry that of the last one before them; where continuity was lost the epoch
///   changes. Timetokens always rise.
/// - When [`publish`](Self::publish) has returned `Ok`, the local subscribers' queues hold the
///   publication, or will before anything that is published later.
/// - A publication that is to be stored is stored before anybody gets it: by [`LocalNode::publish`], by
///   [`LocalNode::persist`], called once for each on this node, or by the backend itself, which then has a
///   [`history`](Self::history). What cannot be stored is refused.
/// - [`subscribe`](Self::subscribe) and [`unsubscribe`](Self::unsubscribe) are level-triggered: they
///   mean "look again at what [`LocalNode::is_occupied`] says". Calls may come in any order, more than
///   once, and for things that changed back meanwhile.
/// - When `subscribe` returned `Ok`, everything published later on any node arrives here.
/// - While the other nodes cannot be reached, nothing hangs: local members go on being served,
///   `subscribe` returns at once and is made good later, `publish` answers
///   [`BackendError::Unreachable`].
/// - Futures may be dropped at any await; a publication dropped so is published or not, never half.
///
/// [`testkit::backend_laws`](crate::testkit) checks an implementation.
///
/// # Examples
/// ```
/// use polywire_core::{BackendError, Draft, LocalNode, PubSubBackend, Receipt};
/// use std::sync::OnceLock;
///
/// /// One node, nothing else.
/// #[derive(Default)]
/// struct Alone(OnceLock<LocalNode>);
///
/// #[async_trait::async_trait]
/// impl PubSubBackend for Alone {
///     async fn start(&self, node: LocalNode) -> Result<(), BackendError> {
///         self.0.set(node).map_err(|_| BackendError::NotRunning)
///     }
///     async fn publish(&self, draft: Draft) -> Result<Receipt, BackendError> {
///         Ok(self.0.get().ok_or(BackendError::NotRunning)?.publish(draft).await?)
///     }
/// }
/// ```
#[async_trait]
pub trait PubSubBackend: Send + Sync + 'static {
    /// Begins to serve `node`.
    ///
    /// # Errors
    /// What no waiting would mend, such as a wrong setting.
    async fn start(&self, node: LocalNode) -> Result<(), BackendError>;

    /// Publishes on all nodes and returns the place that the publication got, and how safe it is.
    ///
    /// # Errors
    /// [`BackendError::Unreachable`] when other nodes may not have got it, [`BackendError::NotStored`] when
    /// nobody got it because it could not be stored.
    async fn publish(&self, draft: Draft) -> Result<Receipt, BackendError>;

    /// Publishes like [`publish`](Self::publish) where that takes no waiting, and gives the draft back where
    /// it does: what a backend can do at once then needs no future.
    fn publish_now(&self, draft: Draft) -> Attempt {
        Attempt::Waits(draft)
    }

    /// Publishes like [`publish`](Self::publish), and may return as soon as everything that is published later gets a later
    /// place: what is to be stored may still wait for the store, and is stored with what follows. Whoever publishes much
    /// does not wait each time, or never hears what becomes of it and drops the answer.
    ///
    /// # Errors
    /// When nobody gets it, as far as that is known.
    async fn place(&self, draft: Draft) -> Result<Placed, BackendError> {
        self.publish(draft).await.map(Placed::Done)
    }

    /// Somebody on this node now wants `interest`.
    ///
    /// # Errors
    /// When publications of other nodes will not arrive until the backend recovers.
    async fn subscribe(&self, interest: &Interest) -> Result<(), BackendError> {
        let _ = interest;
        Ok(())
    }

    /// Perhaps nobody on this node wants `interest` any more. Does not wait.
    fn unsubscribe(&self, interest: &Interest) {
        let _ = interest;
    }

    /// False when there never are other nodes: then nodes need not tell each other anything. Fixed.
    fn is_shared(&self) -> bool {
        true
    }

    /// True when nobody gets a publication before the policy of the node has kept it. False for a backend that places and
    /// announces it in one step: then it is composed only with a policy that [refuses](crate::PersistencePolicy::refuses)
    /// nothing, or keeps publications itself. Fixed.
    fn stores_first(&self) -> bool {
        true
    }

    /// How the backend fares.
    fn status(&self) -> BackendStatus {
        BackendStatus::Ready
    }

    /// What the backend itself keeps, to be read again, where it stores what it publishes in the same step.
    fn history(&self) -> Option<&dyn History> {
        None
    }

    /// Ends what runs in the background; called once.
    async fn stop(&self) {}
}

const _: fn(&dyn PubSubBackend) = |_| ();

#[async_trait]
impl<B: PubSubBackend + ?Sized> PubSubBackend for Arc<B> {
    async fn start(&self, node: LocalNode) -> Result<(), BackendError> {
        (**self).start(node).await
    }

    async fn publish(&self, draft: Draft) -> Result<Receipt, BackendError> {
        (**self).publish(draft).await
    }

    fn publish_now(&self, draft: Draft) -> Attempt {
        (**self).publish_now(draft)
    }

    async fn place(&self, draft: Draft) -> Result<Placed, BackendError> {
        (**self).place(draft).await
    }

    async fn subscribe(&self, interest: &Interest) -> Result<(), BackendError> {
        (**self).subscribe(interest).await
    }

    fn unsubscribe(&self, interest: &Interest) {
        (**self).unsubscribe(interest);
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    fn stores_first(&self) -> bool {
        (**self).stores_first()
    }

    fn status(&self) -> BackendStatus {
        (**self).status()
    }

    fn history(&self) -> Option<&dyn History> {
        (**self).history()
    }

    async fn stop(&self) {
        (**self).stop().await;
    }
}

/// What became of an attempt to publish without waiting.
#[derive(Debug)]
// It is taken apart at once, and boxing it would cost what it is there to save.
#[allow(clippy::large_enum_variant)]
#[must_use]
pub enum Attempt {
    /// It was published, or cannot be.
    Done(Result<Receipt, BackendError>),
    /// It would have to wait; nothing was done.
    Waits(Draft),
}

/// A publication that has its place.
#[must_use]
pub enum Placed {
    /// It was published.
    Done(Receipt),
    /// It is still to be stored, or to reach other nodes: the future tells what became of it. Dropping that changes
    /// nothing.
    Pending(BoxFuture<'static, Result<Receipt, BackendError>>),
}

impl From<PlacedHere> for Placed {
    fn from(placed: PlacedHere) -> Self {
        match placed {
            PlacedHere::Done(receipt) => Self::Done(receipt),
            PlacedHere::InLine(stored) => Self::Pending(stored.outcome().err_into().boxed()),
        }
    }
}

impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(receipt) => f.debug_tuple("Done").field(receipt).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// How a backend fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendStatus {
    /// Publications go everywhere.
    Ready,
    /// The backend tries to reach what it needs; publications stay on this node.
    Reconnecting,
    /// What it needs is reached and cannot be used: a sentence says why, and what to do. It is tried again; publications
    /// stay on this node.
    Unusable(&'static str),
}

/// Why a publication or subscription does not reach other nodes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The other nodes cannot be reached; members on this node were served.
    #[error("the other nodes cannot be reached; only members on this node were served")]
    Unreachable(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// It was to be stored and was not; nobody got it.
    #[error("the message could not be stored and was not published")]
    NotStored(#[from] PersistenceError),
    /// A setting is wrong; the text says which and what to do.
    #[error("{0}")]
    Configuration(String),
    /// [`PubSubBackend::start`] was not called, or was called twice.
    #[error("the backend is not running")]
    NotRunning,
}
