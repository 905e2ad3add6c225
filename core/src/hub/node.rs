//! The local node as its backend sees it.

use std::{fmt, sync::Arc};

use super::{
    Hub,
    storing::{PlacedHere, Storing},
};
use crate::{
    identity::NodeId,
    interest::Interest,
    persistence::{Durability, PersistResult, PersistenceError, PersistencePolicy},
    publication::{Clock, Draft, Publication, Target},
    receipt::Receipt,
};

/// What a [`PubSubBackend`](crate::PubSubBackend) sees of the node that it serves.
#[derive(Clone)]
pub struct LocalNode {
    hub: Arc<Hub>,
    storing: Arc<Storing>,
}

impl LocalNode {
    /// The node with this hub and this policy.
    pub fn new(hub: Arc<Hub>, persistence: Arc<dyn PersistencePolicy>) -> Self {
        let storing = Arc::new(Storing::new(persistence, hub.clone()));
        Self { hub, storing }
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
    /// # Errors
    /// When it was to be stored and was not; then nobody gets it.
    ///
    /// # Cancel safety
    /// A publication whose future is dropped is stored and delivered, or neither.
    pub async fn publish(&self, draft: Draft) -> Result<Receipt, PersistenceError> {
        self.storing.publish(draft).await
    }

    /// Publishes on this node only, and returns when it has its place, which is before it is stored and delivered.
    ///
    /// # Errors
    /// When it has no place: nobody gets it.
    ///
    /// # Cancel safety
    /// A publication whose future is dropped is stored and delivered, or neither.
    pub async fn place(&self, draft: Draft) -> Result<PlacedHere, PersistenceError> {
        self.storing.place(draft).await
    }

    /// Publishes on this node only, like [`publish`](Self::publish), where nothing has to be stored.
    ///
    /// # Errors
    /// The draft, when it has to be stored: nothing was done.
    // The draft comes back as it is: boxing it would cost what this is there to save.
    #[allow(clippy::result_large_err)]
    pub fn publish_now(&self, draft: Draft) -> Result<Receipt, Draft> {
        if draft.retention.store && self.storing.policy.stores() {
            return Err(draft);
        }
        Ok(Receipt::delivered(self.hub.publish_unstored(draft)))
    }

    /// Delivers on this node a publication that got its place elsewhere. Calls for one channel must come in
    /// the order of the places.
    pub fn deliver(&self, publication: &Publication) {
        self.hub.deliver(publication);
    }

    /// Tells who receives what goes to `target` that publications are lost, or may be, before what is delivered next.
    pub fn gap(&self, target: &Target) {
        self.hub.gap(target);
    }

    /// What `work` [delivers](Self::deliver) leaves together, in one write for each connection: for what a backend took
    /// together from where it came.
    pub fn together<T>(&self, work: impl FnOnce() -> T) -> T {
        self.hub.flusher().together(work)
    }

    /// Has a publication that got its place elsewhere stored, if its publisher wants that. Whoever has to
    /// see it only when it is stored waits for this before it [delivers](Self::deliver) it.
    ///
    /// # Errors
    /// When it was to be stored and was not.
    ///
    /// # Cancel safety
    /// A publication whose future is dropped is stored or not.
    pub async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        let policy = &self.storing.policy;
        if !publication.retention.store || !policy.stores() {
            return Ok(Durability::Delivered);
        }
        if !policy.waits(&publication.target) {
            return policy.persist_now(publication);
        }
        let (room, told) = self.storing.room(publication.bytes()).await?;
        drop(self.storing.stand_in_line(publication.clone(), None, room));
        told.await.unwrap_or(Err(PersistenceError::Closed))
    }

    /// Waits until what is being stored is stored.
    pub(crate) async fn settled(&self) {
        self.storing.drain().await;
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
