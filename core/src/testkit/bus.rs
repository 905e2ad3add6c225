//! A bus: several nodes in one process, for tests of what nodes say to each other.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::{
    BackendError, BackendStatus, Clock, Draft, Epoch, LocalNode, NodeId, Position, PubSubBackend,
    Receipt, Seq, Target,
};

/// A bus that any number of nodes may join, and from which each can be cut off and come back.
#[derive(Clone, Default)]
pub struct Bus(Arc<SharedBus>);

#[derive(Default)]
struct SharedBus {
    clock: Clock,
    /// Also while a publication is being stored: the order on the bus is the order on every node.
    state: Mutex<BusState>,
    /// Nodes that are cut off, and what each has missed.
    cut: parking_lot::Mutex<HashMap<NodeId, Missed>>,
}

#[derive(Default)]
struct Missed {
    node: Option<LocalNode>,
    targets: HashSet<Target>,
}

#[derive(Default)]
struct BusState {
    nodes: Vec<LocalNode>,
    last: HashMap<Target, Position>,
}

impl Bus {
    /// A backend for one more node.
    pub fn node(&self) -> BusBackend {
        BusBackend {
            bus: self.clone(),
            node: OnceLock::new(),
        }
    }

    /// Cuts a node off: nothing that it says arrives, and it hears nothing.
    pub fn cut(&self, node: NodeId) {
        self.0.cut.lock().entry(node).or_default();
    }

    /// Lets a node that was cut off take part again. What it missed it has missed: it is told of the gaps.
    pub fn mend(&self, node: NodeId) {
        let missed = self.0.cut.lock().remove(&node).unwrap_or_default();
        for target in &missed.targets {
            if let Some(node) = &missed.node {
                node.gap(target);
            }
        }
    }

    fn is_cut(&self, node: NodeId) -> bool {
        self.0.cut.lock().contains_key(&node)
    }

    async fn publish(&self, draft: Draft, publisher: &LocalNode) -> Result<Receipt, BackendError> {
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
        let is_cut = self.is_cut(publisher.id());
        for node in &state.nodes {
            let is_own = node.id() == publisher.id();
            if is_own || !(is_cut || self.is_cut(node.id())) {
                node.clock().observe(timetoken);
                node.deliver(&publication);
            } else if let Some(missed) = self.0.cut.lock().get_mut(&node.id()) {
                missed.node = Some(node.clone());
                missed.targets.insert(publication.target.clone());
            }
        }
        if is_cut {
            return Err(BackendError::Unreachable(None));
        }
        Ok(Receipt::new(publication.position(), durability))
    }
}

/// One node's end of a [`Bus`].
pub struct BusBackend {
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

    fn status(&self) -> BackendStatus {
        match self.node.get() {
            Some(node) if !self.bus.is_cut(node.id()) => BackendStatus::Ready,
            _ => BackendStatus::Reconnecting,
        }
    }

    async fn stop(&self) {
        if let Some(node) = self.node.get() {
            let mut state = self.bus.0.state.lock().await;
            state.nodes.retain(|other| other.id() != node.id());
        }
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bus")
    }
}

impl std::fmt::Debug for BusBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BusBackend({:?})", self.node.get())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::*, Bus};

    #[tokio::test]
    async fn a_bus_keeps_the_laws_of_a_backend() {
        backend_laws(|| Bus::default().node()).await;
        let bus = Bus::default();
        backend_laws_of_nodes(|| bus.node()).await;
    }
}
