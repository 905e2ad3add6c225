//! What a backend sees of its node.

use std::{fmt, sync::Arc};

use super::Hub;
use crate::{
    backend::Interest,
    identity::NodeId,
    persistence::{PersistenceError, PersistencePolicy},
    publication::{Clock, Draft, Position, Publication},
};

/// What a [`PubSubBackend`](crate::PubSubBackend) sees of the node that it serves.
#[derive(Clone)]
pub struct LocalNode {
    hub: Arc<Hub>,
    persistence: Arc<dyn PersistencePolicy>,
}

impl LocalNode {
    /// The node with this hub and this policy.
    pub fn new(hub: Arc<Hub>, persistence: Arc<dyn PersistencePolicy>) -> Self {
        Self { hub, persistence }
    }

    /// The id of the node.
    pub fn id(&self) -> NodeId {
        self.hub.node()
    }

    /// The clock of the node; a backend that takes timetokens from elsewhere lets it observe them.
    pub fn clock(&self) -> &Clock {
        self.hub.clock()
    }

    /// Publishes on this node only: gives the draft its place, has it stored and delivers it in order.
    ///
    /// # Cancel safety
    /// A publication whose future is dropped is delivered, but perhaps not stored.
    pub async fn publish(&self, draft: Draft) -> Position {
        self.hub.publish(draft, &*self.persistence).await
    }

    /// Delivers on this node a publication that got its place elsewhere. Calls for one channel must come in
    /// the order of the places.
    pub fn deliver(&self, publication: &Publication) {
        self.hub.deliver(publication);
    }

    /// Has a publication stored, if its publisher wants that. A failure is logged and counted, no more.
    pub async fn persist(&self, publication: &Publication) {
        if publication.retention.store && self.persistence.stores() {
            Self::persist_with(&*self.persistence, publication).await;
        }
    }

    pub(super) async fn persist_with(policy: &dyn PersistencePolicy, publication: &Publication) {
        if let Err(error) = policy.persist(publication).await {
            let cause = &error as &dyn std::error::Error;
            if let PersistenceError::Overloaded = error {
                // A line for each publication would make an overload worse; the policy tells of them.
                tracing::debug!(error = cause, target = ?publication.target, "not stored");
            } else {
                tracing::warn!(error = cause, target = ?publication.target, "a publication was not stored");
            }
        }
    }

    /// True when somebody on this node wants `interest`.
    pub fn is_occupied(&self, interest: &Interest) -> bool {
        self.hub.is_occupied(interest)
    }

    /// Everything that somebody on this node wants.
    pub fn interests(&self) -> Vec<Interest> {
        self.hub.interests()
    }
}

impl fmt::Debug for LocalNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalNode({:?})", self.hub.node())
    }
}
