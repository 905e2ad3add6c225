//! The bus: the order of every channel, and the nodes that listen.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use polywire::{
    core::{Clock, Epoch, Seq, Target},
    prelude::*,
};
use tokio::sync::Mutex;

/// A bus that any number of nodes may join.
#[derive(Clone, Default)]
pub(crate) struct Bus(Arc<Shared>);

#[derive(Default)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: Vec<LocalNode>,
    /// The last position of every channel; a bus for more than an example would forget idle ones.
    last: HashMap<Target, Position>,
}

impl Bus {
    /// A backend for one more node.
    pub(crate) fn node(&self) -> BusBackend {
        BusBackend {
            bus: self.clone(),
            node: OnceLock::new(),
        }
    }

    /// Publishes for one of the nodes, which has its policy store it before anybody gets it.
    async fn publish(&self, draft: Draft, publisher: &LocalNode) -> Result<Receipt, BackendError> {
        // One lock for all, also while a publication is being stored: the order on the bus is the order on
        // every node. A bus for more than an example would have a lock for each channel.
        let mut state = self.0.state.lock().await;
        let timetoken = self.0.clock.tick();
        let last = state.last.entry(draft.target.clone()).or_insert(Position {
            epoch: Epoch(timetoken.0),
            seq: Seq(0),
            timetoken,
        });
        let position = Position {
            // Only what is to be stored counts.
            seq: Seq(last.seq.0 + u64::from(draft.retention.store)),
            timetoken,
            ..*last
        };
        let publication = Arc::new(draft.at(position));
        let durability = publisher.persist(&publication).await?;
        // Only now: what was not stored, or not waited for, leaves no hole.
        *last = position;
        for node in &state.nodes {
            node.clock().observe(timetoken);
            node.deliver(&publication);
        }
        Ok(Receipt::new(publication.position(), durability))
    }
}

/// One node's end of the bus.
pub(crate) struct BusBackend {
    bus: Bus,
    node: OnceLock<LocalNode>,
}

#[async_trait]
impl PubSubBackend for BusBackend {
    async fn start(&self, node: LocalNode) -> Result<(), BackendError> {
        let mut state = self.bus.0.state.lock().await;
        state.nodes.push(node.clone());
        self.node.set(node).map_err(|_| BackendError::NotRunning)
    }

    async fn publish(&self, draft: Draft) -> Result<Receipt, BackendError> {
        let node = self.node.get().ok_or(BackendError::NotRunning)?;
        self.bus.publish(draft, node).await
    }
}
