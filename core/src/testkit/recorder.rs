//! A receiver that keeps what it gets.

use std::sync::Arc;

use parking_lot::Mutex;

use super::until;
use crate::{
    ClientId, ConnectionId, NodeId, Payload, Position, Publication, Target, delivery::Fanout,
    delivery::Receiver,
};

/// A connection that keeps everything that it is delivered.
#[derive(Debug)]
pub struct Recorder {
    connection: ConnectionId,
    client: Option<ClientId>,
    publications: Mutex<Vec<Publication>>,
    /// How many publications were delivered before each gap.
    gaps: Mutex<Vec<usize>>,
}

impl Recorder {
    /// A connection of `node`.
    pub fn new(node: NodeId) -> Arc<Self> {
        Self::of_client(node, None)
    }

    /// A connection of `node` with an identity.
    pub fn of_client(node: NodeId, client: Option<ClientId>) -> Arc<Self> {
        Arc::new(Self {
            connection: ConnectionId::next(node),
            client,
            publications: Mutex::default(),
            gaps: Mutex::default(),
        })
    }

    /// What was delivered so far, in order.
    pub fn publications(&self) -> Vec<Publication> {
        self.publications.lock().clone()
    }

    /// The texts that were delivered so far; JSON and bytes are shown as Rust writes them.
    pub fn texts(&self) -> Vec<String> {
        let publications = self.publications.lock();
        publications
            .iter()
            .map(|publication| match &publication.payload {
                Payload::Text(text) => text.value().to_string(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    /// The places of what was delivered so far.
    pub fn positions(&self) -> Vec<Position> {
        let publications = self.publications.lock();
        publications.iter().map(Publication::position).collect()
    }

    /// The gaps that were told so far: how many publications were delivered before each.
    pub fn gaps(&self) -> Vec<usize> {
        self.gaps.lock().clone()
    }

    /// How many publications were delivered so far.
    pub fn len(&self) -> usize {
        self.publications.lock().len()
    }

    /// True when nothing was delivered yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what was delivered so far.
    pub fn clear(&self) {
        self.publications.lock().clear();
    }

    /// Waits until at least `count` publications were delivered, and returns all of them.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait_for(&self, count: usize) -> Vec<Publication> {
        until(&format!("{count} publications are delivered"), || {
            self.len() >= count
        })
        .await;
        self.publications()
    }
}

impl Receiver for Recorder {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        self.client.clone()
    }

    fn gap(&self, _: &Target) {
        let delivered = self.publications.lock().len();
        self.gaps.lock().push(delivered);
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        self.publications.lock().push(fanout.publication().clone());
    }
}
