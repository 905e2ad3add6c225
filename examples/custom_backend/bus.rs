//! The bus: the order of every channel, and the nodes that listen.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use polywire::{
    core::{Clock, Epoch, Seq, Target},
    prelude::*,
};

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

    fn publish(&self, draft: Draft) -> Publication {
        // One lock for all: the order on the bus is the order on every node.
        let mut state = self
            .0
            .state
            .lock()
            .expect("no thread panics while it holds the lock");
        let timetoken = self.0.clock.tick();
        let last = state.last.entry(draft.target.clone()).or_insert(Position {
            epoch: Epoch(timetoken.0),
            seq: Seq(0),
            timetoken,
        });
        *last = Position {
            seq: Seq(last.seq.0 + 1),
            timetoken,
            ..*last
        };
        let publication = draft.at(*last);
        for node in &state.nodes {
            node.clock().observe(timetoken);
            node.deliver(&publication);
        }
        publication
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
        let mut state = self
            .bus
            .0
            .state
            .lock()
            .expect("no thread panics while it holds the lock");
        state.nodes.push(node.clone());
        self.node.set(node).map_err(|_| BackendError::NotRunning)
    }

    async fn publish(&self, draft: Draft) -> Result<Position, BackendError> {
        let node = self.node.get().ok_or(BackendError::NotRunning)?;
        let publication = self.bus.publish(draft);
        node.persist(&publication).await;
        Ok(publication.position())
    }
}
