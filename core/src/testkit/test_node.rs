//! A node to try a backend on.

use std::{fmt, sync::Arc};

use super::{Recorder, RecordingPolicy, until, within};
use crate::{
    BackendError, BackendStatus, Channel, Draft, Hub, Interest, JoinNumber, LocalNode, Payload,
    Position, PubSubBackend,
    delivery::{Flusher, Receiver},
};

/// A node with a hub, a [`RecordingPolicy`] and the backend to be tried.
pub struct TestNode {
    hub: Arc<Hub>,
    stored: Arc<RecordingPolicy>,
    backend: Arc<dyn PubSubBackend>,
}

/// A recorder's place on an interest. Dropping it does nothing: see [`TestNode::leave`].
#[derive(Debug)]
pub struct Joined {
    interest: Interest,
    number: JoinNumber,
}

impl TestNode {
    /// Starts the backend on a new node; does not wait for it to be ready.
    ///
    /// # Panics
    /// When the backend refuses to start, or takes its time.
    pub async fn start(backend: impl PubSubBackend) -> Self {
        let node = Self {
            hub: Arc::new(Hub::new(Flusher::new(1))),
            stored: Arc::new(RecordingPolicy::default()),
            backend: Arc::new(backend),
        };
        let local = LocalNode::new(node.hub.clone(), node.stored.clone());
        within("start", node.backend.start(local))
            .await
            .expect("the backend starts");
        node
    }

    /// Starts the backend on a new node and waits until it is ready.
    ///
    /// # Panics
    /// When that does not come to pass.
    pub async fn ready(backend: impl PubSubBackend) -> Self {
        let node = Self::start(backend).await;
        node.until_ready().await;
        node
    }

    /// Waits until the backend is ready.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn until_ready(&self) {
        until("the backend is ready", || {
            self.backend.status() == BackendStatus::Ready
        })
        .await;
    }

    /// The hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<dyn PubSubBackend> {
        &self.backend
    }

    /// What the backend had stored.
    pub fn stored(&self) -> &RecordingPolicy {
        &self.stored
    }

    /// A new connection.
    pub fn connection(&self) -> Arc<Recorder> {
        Recorder::new(self.hub.node())
    }

    /// Joins as [`Space`](crate::Space) does: first the hub, then the backend is asked.
    ///
    /// # Errors
    /// What the backend says; the recorder has joined all the same.
    pub async fn try_join(
        &self,
        interest: impl Into<Interest>,
        recorder: &Arc<Recorder>,
    ) -> (Joined, Result<(), BackendError>) {
        let interest = interest.into();
        let number = self.hub.join(&interest, recorder.clone());
        let answer = within("subscribe", self.backend.subscribe(&interest)).await;
        (Joined { interest, number }, answer)
    }

    /// Joins and expects that the backend agrees.
    ///
    /// # Panics
    /// When it does not.
    pub async fn join(&self, interest: impl Into<Interest>, recorder: &Arc<Recorder>) -> Joined {
        let (joined, answer) = self.try_join(interest, recorder).await;
        answer.expect("subscribe succeeds while the backend is ready");
        joined
    }

    /// Leaves as [`Space`](crate::Space) does.
    pub fn leave(&self, joined: &Joined) {
        if self.hub.leave(&joined.interest, joined.number) {
            self.backend.unsubscribe(&joined.interest);
        }
    }

    /// Publishes.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn try_publish(&self, draft: Draft) -> Result<Position, BackendError> {
        let receipt = within("publish", self.backend.publish(draft)).await?;
        Ok(receipt.position)
    }

    /// Publishes and expects that it works.
    ///
    /// # Panics
    /// When it does not.
    pub async fn publish(&self, draft: Draft) -> Position {
        self.try_publish(draft)
            .await
            .expect("publish succeeds while the backend is ready")
    }

    /// Publishes a text on a channel and expects that it works.
    ///
    /// # Panics
    /// When it does not.
    pub async fn say(&self, channel: &Channel, text: &str) -> Position {
        let payload = Payload::text(text.to_owned());
        self.publish(Draft::new(channel.clone(), payload)).await
    }

    /// Stops the backend.
    ///
    /// # Panics
    /// When it takes too long.
    pub async fn stop(&self) {
        within("stop", self.backend.stop()).await;
    }

    /// The connection that `recorder` records.
    pub(super) fn id_of(recorder: &Recorder) -> crate::ConnectionId {
        Receiver::connection(recorder)
    }
}

impl fmt::Debug for TestNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestNode({:?})", self.hub.node())
    }
}
