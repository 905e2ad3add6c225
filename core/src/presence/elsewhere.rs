//! The other nodes that a client is on.

use super::change::Here;
use crate::identity::NodeId;

/// Another node that a client is on.
#[derive(Debug, Clone, Copy)]
struct OtherNode {
    node: NodeId,
    /// By a connection, and not only by signs of life.
    is_attached: bool,
    /// It tells the members when the client is gone from all nodes, as far as is known here.
    tells: bool,
}

/// The other nodes that a client is on. Mostly there is none, or one.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Box<[OtherNode]>);

impl Elsewhere {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.0.iter().any(|other| other.node == node)
    }

    /// The first of them by its number.
    pub(super) fn first(&self) -> Option<NodeId> {
        self.0.iter().map(|other| other.node).min()
    }

    /// True when one of them is known to tell the members.
    pub(super) fn has_teller(&self) -> bool {
        self.0.iter().any(|other| other.tells)
    }

    /// True when the client gives signs of life on one of them and has no connection there.
    pub(super) fn gives_signs(&self) -> bool {
        self.0.iter().any(|other| !other.is_attached)
    }

    /// The client is on a node. Where two say that they tell, the first of them will.
    pub(super) fn put(&mut self, node: NodeId, here: Here) {
        match self.0.iter_mut().find(|other| other.node == node) {
            Some(other) => other.is_attached = here.is_attached,
            None => {
                let other = OtherNode {
                    node,
                    is_attached: here.is_attached,
                    tells: false,
                };
                self.0 = self.0.iter().copied().chain([other]).collect();
            }
        }
        let is_known = |other: &OtherNode| other.tells && other.node < node;
        if here.tells && !self.0.iter().any(is_known) {
            self.set_teller(Some(node));
        }
    }

    /// This node, or none, tells the members.
    pub(super) fn set_teller(&mut self, node: Option<NodeId>) {
        for other in &mut self.0 {
            other.tells = Some(other.node) == node;
        }
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        if self.contains(node) {
            self.keep(|other| other.node != node);
        }
    }

    /// Those on which it has no connection are to end its signs of life. Says which of them is to tell the members.
    pub(super) fn remove_signs(&mut self) -> Option<NodeId> {
        let mut signs = self.0.iter().filter(|other| !other.is_attached);
        let teller = signs.find(|other| other.tells).map(|other| other.node);
        self.keep(|other| other.is_attached);
        teller
    }

    fn keep(&mut self, keep: impl Fn(&OtherNode) -> bool) {
        self.0 = self.0.iter().filter(|other| keep(other)).copied().collect();
    }
}
