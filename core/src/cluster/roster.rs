//! The roster: which nodes there are, and what each takes part in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::identity::NodeId;

/// What a node takes part in, by names that apps agree on, such as the name of the app.
pub(crate) type Offers = BTreeSet<String>;

/// The nodes that are there: this one, and the others that were heard of lately through the backend.
///
/// Every node says every two seconds that it is there, at once when it starts, and when it begins to stop that it is
/// not. One that is killed is missed after ten seconds. Nodes may run different apps, so each says what it takes part in:
/// whoever asks all nodes for something asks those that answer.
pub struct Nodes {
    own: NodeId,
    roster: Mutex<Roster>,
    changed: watch::Sender<()>,
    /// This node takes part in something new, which the others are to be told.
    offered: Notify,
}

struct Roster {
    /// What each takes part in; this one among them.
    nodes: BTreeMap<NodeId, Offers>,
    is_complete: bool,
}

impl Nodes {
    pub(crate) fn new(own: NodeId, is_alone: bool) -> Self {
        Self {
            own,
            roster: Mutex::new(Roster {
                nodes: [(own, Offers::new())].into(),
                is_complete: is_alone,
            }),
            changed: watch::Sender::new(()),
            offered: Notify::new(),
        }
    }

    /// This node.
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// Says that this node takes part in something, from now on and until it stops.
    pub fn offer(&self, name: &str) {
        let is_new = {
            let mut roster = self.roster.lock();
            let own = roster.nodes.get_mut(&self.own);
            own.is_some_and(|own| own.insert(name.to_owned()))
        };
        if is_new {
            self.offered.notify_one();
            self.changed.send_replace(());
        }
    }

    /// The other nodes that are there and take part in something.
    pub fn others(&self, name: &str) -> BTreeSet<NodeId> {
        let roster = self.roster.lock();
        let others = roster.taking_part(name);
        others.filter(|node| *node != self.own).collect()
    }

    /// True for this node until it stops, and for others that were heard of lately.
    pub fn is_there(&self, node: NodeId) -> bool {
        self.roster.lock().nodes.contains_key(&node)
    }

    /// True when a node is certainly not there: it was not heard of while those that are were. A node that others
    /// cannot reach is gone for them too.
    pub fn is_gone(&self, node: NodeId) -> bool {
        let roster = self.roster.lock();
        roster.is_complete && !roster.nodes.contains_key(&node)
    }

    /// One of the nodes that are there and take part in something: for the same `key` the same one on all nodes
    /// that know of the same nodes, and for most keys the same one as before when another node comes or goes. `None`
    /// when none does.
    pub fn choose(&self, name: &str, key: &str) -> Option<NodeId> {
        let roster = self.roster.lock();
        roster
            .taking_part(name)
            .max_by_key(|node| weight(*node, key))
    }

    /// True when all nodes that can be reached are known: see [`complete`](Self::complete).
    pub fn is_complete(&self) -> bool {
        self.roster.lock().is_complete
    }

    /// Waits until all nodes that can be reached are known. That is a few seconds after the start and after the
    /// backend could not be reached; where there are no other nodes it is at once.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind.
    pub async fn complete(&self) {
        let mut changes = self.watch();
        while !self.roster.lock().is_complete {
            // The sender lives as long as this does.
            let _ = changes.changed().await;
        }
    }

    /// Is told whenever a node comes or goes, or says something else of itself than before.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Returns when this node takes part in something that others have not been told of.
    pub(super) async fn offered(&self) {
        self.offered.notified().await;
    }

    /// What this node takes part in; `None` when it stops.
    pub(super) fn offers(&self) -> Option<Offers> {
        self.roster.lock().nodes.get(&self.own).cloned()
    }

    /// This node stops.
    pub(super) fn leave(&self) {
        self.heard(self.own, None);
    }

    /// A node says what it takes part in, or is gone.
    pub(super) fn heard(&self, node: NodeId, offers: Option<Offers>) {
        let is_change = {
            let nodes = &mut self.roster.lock().nodes;
            let before = match offers {
                Some(offers) => nodes.insert(node, offers),
                None => nodes.remove(&node),
            };
            before.as_ref() != nodes.get(&node)
        };
        if is_change {
            self.changed.send_replace(());
        }
    }

    /// Whether all nodes that can be reached are known.
    pub(super) fn set_complete(&self, is_complete: bool) {
        let before = std::mem::replace(&mut self.roster.lock().is_complete, is_complete);
        if before != is_complete {
            self.changed.send_replace(());
        }
    }
}

impl Roster {
    fn taking_part(&self, name: &str) -> impl Iterator<Item = NodeId> {
        let takes_part = move |offers: &Offers| offers.contains(name);
        self.nodes
            .iter()
            .filter(move |(_, offers)| takes_part(offers))
            .map(|(node, _)| *node)
    }
}

/// What decides between nodes: FNV-1a over the key and the node, well mixed, and the same in every version.
fn weight(node: NodeId, key: &str) -> (u64, NodeId) {
    let bytes = key.bytes().chain(node.0.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed ^ (mixed >> 32), node)
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roster = self.roster.lock();
        f.debug_struct("Nodes")
            .field("own", &self.own)
            .field("nodes", &roster.nodes)
            .field("is_complete", &roster.is_complete)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn offers(names: &[&str]) -> Option<Offers> {
        Some(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nodes_come_and_go() {
        let nodes = Nodes::new(NodeId(1), false);
        let mut changes = nodes.watch();
        nodes.heard(NodeId(2), offers(&["mqtt"]));
        nodes.heard(NodeId(3), offers(&[]));
        nodes.offer("mqtt");
        assert!(nodes.offered().now_or_never().is_some());
        assert_eq!(nodes.offers(), offers(&["mqtt"]));
        assert!(changes.has_changed().unwrap());
        assert_eq!(nodes.others("mqtt"), [NodeId(2)].into());
        assert!(
            [1, 2, 3]
                .map(NodeId)
                .iter()
                .all(|node| nodes.is_there(*node))
        );
        changes.mark_unchanged();
        nodes.heard(NodeId(2), offers(&["mqtt"]));
        nodes.heard(NodeId(9), None);
        nodes.offer("mqtt");
        assert!(!changes.has_changed().unwrap(), "nothing is new");
        nodes.heard(NodeId(2), None);
        assert!(changes.has_changed().unwrap());
        assert!(!nodes.is_there(NodeId(2)));
        assert_eq!(nodes.others("mqtt"), BTreeSet::new());
        nodes.leave();
        assert_eq!((nodes.offers(), nodes.choose("mqtt", "ann")), (None, None));
        nodes.offer("seth");
        assert_eq!(nodes.offers(), None, "it does not come back");
    }

    #[test]
    fn nobody_is_gone_before_everybody_could_be_heard() {
        let nodes = Nodes::new(NodeId(1), false);
        assert!(!nodes.is_gone(NodeId(2)));
        assert!(nodes.complete().now_or_never().is_none());
        nodes.set_complete(true);
        assert!(nodes.complete().now_or_never().is_some());
        assert!(nodes.is_gone(NodeId(2)) && !nodes.is_gone(NodeId(1)));
        assert!(Nodes::new(NodeId(1), true).is_gone(NodeId(2)));
    }

    #[test]
    fn all_nodes_choose_the_same_one() {
        let roster = |own: u64, nodes: &[u64]| {
            let roster = Nodes::new(NodeId(own), false);
            roster.offer("mqtt");
            for node in nodes.iter().filter(|node| **node != own) {
                roster.heard(NodeId(*node), offers(&["mqtt"]));
            }
            roster
        };
        let (one, two, less) = (
            roster(1, &[1, 2, 3]),
            roster(2, &[1, 2, 3]),
            roster(1, &[1, 2]),
        );
        one.heard(NodeId(4), offers(&["seth"]));
        assert_eq!(one.choose("knsock", "ann"), None);
        let mut counts = [0; 4];
        for key in (0..3_000).map(|n| format!("session-{n}")) {
            let chosen = one.choose("mqtt", &key).unwrap();
            assert_eq!(two.choose("mqtt", &key), Some(chosen));
            if chosen != NodeId(3) {
                assert_eq!(
                    less.choose("mqtt", &key),
                    Some(chosen),
                    "it is moved for nothing"
                );
            }
            counts[chosen.0 as usize] += 1;
        }
        assert!(
            counts[1..].iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }
}
