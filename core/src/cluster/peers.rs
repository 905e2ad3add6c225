//! Peers: the other nodes, and what follows from what they say.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio::time::{Duration, Instant};

use super::{
    message::{GossipMessage, Say},
    roster::Nodes,
};
use crate::{
    identity::NodeId,
    presence::{Membership, Presence},
};

/// How long a node may be silent before it and its clients count as gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The other nodes, and what follows from what they say.
pub(super) struct Peers {
    own: NodeId,
    known: HashMap<NodeId, PeerNode>,
    to_do: ToDo,
}

/// Another node.
struct PeerNode {
    heard: Instant,
    number: u64,
    /// While it tells of everybody: those that it has not told of yet.
    unconfirmed: Option<HashSet<Membership>>,
    /// A message of it is missing.
    is_torn: bool,
}

/// What this node has to say by it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ToDo {
    /// Somebody is new, and shall not wait to know this node.
    pub(super) greet: bool,
    /// Nodes that shall tell of everybody.
    pub(super) ask: BTreeSet<NodeId>,
    /// This one shall.
    pub(super) tell_all: bool,
}

impl Peers {
    pub(super) fn new(own: NodeId) -> Self {
        Self {
            own,
            known: HashMap::new(),
            to_do: ToDo::default(),
        }
    }

    /// Takes what another node says. True when there is something to do.
    pub(super) fn hear(
        &mut self,
        presence: &Presence,
        nodes: &Nodes,
        message: GossipMessage,
    ) -> bool {
        let (own, from) = (self.own, message.from());
        let tells_for_lost = self.tells_for_lost(from);
        let is_known = self.known.contains_key(&from);
        self.to_do.greet |= !is_known;
        let other = self.known.entry(from).or_insert_with(|| PeerNode {
            heard: Instant::now(),
            number: message.number,
            unconfirmed: None,
            is_torn: false,
        });
        other.heard = Instant::now();
        let is_next = message.number == other.number.wrapping_add(1);
        other.number = message.number;
        if is_known && !is_next {
            other.is_torn = true;
        }
        match message.say {
            Say::Alive(offers) => {
                nodes.heard(from, offers);
                if other.is_torn || !is_known {
                    self.to_do.ask.insert(from);
                }
            }
            Say::Changes(changes) => {
                for change in &changes {
                    if let Some(unconfirmed) = &mut other.unconfirmed
                        && let Some(place) = change.membership()
                    {
                        unconfirmed.remove(&place);
                    }
                    presence.hear(from, change, tells_for_lost);
                }
            }
            Say::Begin(offers) => {
                nodes.heard(from, offers);
                other.is_torn = false;
                other.unconfirmed = Some(presence.memberships_of(from));
            }
            Say::End => {
                // One that is torn again asks again, and sweeps then.
                let unconfirmed = other.unconfirmed.take().filter(|_| !other.is_torn);
                presence.forget(from, unconfirmed.unwrap_or_default(), tells_for_lost);
            }
            Say::Ask(whom) => self.to_do.tell_all |= whom.is_none_or(|whom| whom == own.0),
        }
        self.to_do != ToDo::default()
    }

    /// Looks who is not there any more. True when there is something to do.
    pub(super) fn look(&mut self, presence: &Presence, nodes: &Nodes) -> bool {
        let now = Instant::now();
        let is_silent = |other: &PeerNode| now.duration_since(other.heard) > SILENCE_MAX;
        let known = self.known.iter();
        let silent: Vec<_> = known
            .filter(|(_, other)| is_silent(other))
            .map(|(node, _)| *node)
            .collect();
        for node in silent {
            self.known.remove(&node);
            nodes.heard(node, None);
            tracing::info!(node = %format_args!("{:016x}", node.0), "another node is not there any more");
            let tells_for_lost = self.tells_for_lost(node);
            presence.forget(node, presence.memberships_of(node), tells_for_lost);
        }
        self.to_do != ToDo::default()
    }

    /// What there is to do, once.
    pub(super) fn take_to_do(&mut self) -> ToDo {
        std::mem::take(&mut self.to_do)
    }

    /// True when it falls to this node to tell the members of clients that another one has lost: the first of the others.
    fn tells_for_lost(&self, node: NodeId) -> bool {
        let others = self.known.keys().filter(|other| **other != node);
        others.min().is_none_or(|least| *least >= self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Channel, ClientId, PresenceAction,
        presence::{Here, PresenceChange, PresenceNotice},
    };

    /// This node, which is number 5, and what it hears of others.
    struct Listener {
        peers: Peers,
        presence: Presence,
        nodes: Nodes,
    }

    impl Listener {
        fn new() -> Self {
            Self {
                peers: Peers::new(NodeId(5)),
                presence: Presence::default(),
                nodes: Nodes::new(NodeId(5), false),
            }
        }

        /// What follows from what a node says.
        fn hear(&mut self, from: u64, number: u64, say: Say) -> ToDo {
            let message = GossipMessage { from, number, say };
            let is_something = self.peers.hear(&self.presence, &self.nodes, message);
            let to_do = self.peers.take_to_do();
            assert_eq!(is_something, to_do != ToDo::default());
            to_do
        }
    }

    impl Listener {
        /// What the members are told by this node.
        fn told(&self) -> Vec<(PresenceAction, Membership)> {
            let (told, _) = self.presence.notices().take(usize::MAX);
            let told = told.into_iter().map(|notice| {
                let PresenceNotice { channel, event, .. } = notice;
                (event.action, (channel, event.client.unwrap()))
            });
            told.collect()
        }
    }

    fn membership() -> Membership {
        (Channel::new("room").unwrap(), ClientId::new("ann").unwrap())
    }

    fn here() -> Say {
        let (room, ann) = membership();
        let here = Here {
            tells: true,
            ..Here::default()
        };
        Say::Changes(vec![PresenceChange::here(&room, &ann, None, here)])
    }

    fn alive() -> Say {
        Say::Alive(Some(["mqtt".to_owned()].into()))
    }

    #[tokio::test]
    async fn a_new_node_is_asked_and_one_that_asks_is_told() {
        let mut node = Listener::new();
        let new = node.hear(7, 1, alive());
        assert_eq!((new.ask, new.greet), ([NodeId(7)].into(), true));
        assert_eq!(node.hear(7, 2, alive()), ToDo::default());
        assert_eq!(node.nodes.others("mqtt"), [NodeId(7)].into());
        assert!(node.hear(7, 3, Say::Ask(Some(5))).tell_all);
        assert!(node.hear(7, 4, Say::Ask(None)).tell_all);
        assert!(!node.hear(7, 5, Say::Ask(Some(6))).tell_all);
        node.hear(7, 6, Say::Alive(None));
        assert!(!node.nodes.is_there(NodeId(7)), "it stops");
    }

    /// Who hears of a newcomer and asks who is there must not be contradicted.
    #[tokio::test]
    async fn what_was_heard_is_in_the_table_at_once() {
        let mut node = Listener::new();
        node.hear(7, 1, here());
        assert_eq!(node.presence.occupancy(&membership().0), 1);
    }

    #[tokio::test]
    async fn one_of_which_a_message_is_missing_tells_again_and_the_rest_is_swept() {
        let mut node = Listener::new();
        node.hear(7, 1, Say::Begin(None));
        node.hear(7, 2, here());
        node.hear(7, 3, Say::End);
        assert_eq!(node.hear(7, 5, alive()).ask, [NodeId(7)].into());
        // It is among those who are told of again.
        node.hear(7, 6, Say::Begin(None));
        node.hear(7, 7, here());
        assert_eq!(node.hear(7, 8, Say::End), ToDo::default());
        assert_eq!(node.told(), []);
        // It is not.
        node.hear(7, 9, Say::Begin(None));
        node.hear(7, 10, Say::End);
        assert_eq!(node.told(), [(PresenceAction::Timeout, membership())]);
        assert_eq!(node.presence.occupancy(&membership().0), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_members_are_told_of_a_lost_node_by_the_first_of_the_others() {
        for (third, tells) in [(3, false), (9, true)] {
            let mut node = Listener::new();
            node.hear(7, 1, here());
            tokio::time::advance(SILENCE_MAX).await;
            node.hear(third, 1, alive());
            assert!(!node.peers.look(&node.presence, &node.nodes));
            tokio::time::advance(Duration::from_secs(1)).await;
            node.peers.look(&node.presence, &node.nodes);
            assert_eq!(node.told().len(), usize::from(tells));
            assert_eq!(node.presence.occupancy(&membership().0), 0);
        }
    }
}
