//! Merge of what other nodes say into the table.

use std::collections::HashSet;

use super::{
    Presence,
    change::{ChangeKind, PresenceChange},
};
use crate::{
    channel::Channel,
    identity::{ClientId, NodeId},
};

/// A client on a channel.
pub(crate) type Membership = (Channel, ClientId);

impl Presence {
    /// Takes what another node says. Returns who is gone by it, where it falls to this node to tell the members.
    pub(crate) fn hear(
        &self,
        own: NodeId,
        from: NodeId,
        change: &PresenceChange,
    ) -> Option<Membership> {
        let (channel, client) = change.membership()?;
        match change.what {
            ChangeKind::Here => self.is_on(from, &channel, &client, change),
            ChangeKind::State => {
                self.with(&channel, &client, |entry| {
                    entry.state = change.stated().map(Box::new);
                });
            }
            ChangeKind::Left => {
                let mut channels = self.shard(&channel).lock();
                self.take_out(&mut channels, &channel, &client);
            }
            ChangeKind::Gone { is_last } => {
                let (emptied, gave_way) = self.is_off(from, &channel, &client);
                // Both went at once, each leaving it to the other.
                if emptied && gave_way && !is_last && own < from {
                    return Some((channel, client));
                }
            }
        }
        None
    }

    fn is_on(&self, node: NodeId, channel: &Channel, client: &ClientId, change: &PresenceChange) {
        let mut channels = self.shard(channel).lock();
        let Some((entry, is_new)) = self.entry(&mut channels, channel, client, None) else {
            return;
        };
        if !entry.elsewhere.contains(&node) {
            let mut nodes = entry.elsewhere.to_vec();
            nodes.push(node);
            entry.elsewhere = nodes.into();
        }
        entry.proven_elsewhere |= change.is_proven;
        if is_new || entry.state.is_none() {
            entry.state = change.stated().map(Box::new);
        }
    }

    /// Whether the client is on no node any more, and whether it was on this one before.
    fn is_off(&self, node: NodeId, channel: &Channel, client: &ClientId) -> (bool, bool) {
        let mut channels = self.shard(channel).lock();
        let entry = channels
            .get_mut(channel)
            .and_then(|present| present.get_mut(client));
        let Some(entry) = entry else {
            return (false, false);
        };
        entry.elsewhere = entry
            .elsewhere
            .iter()
            .filter(|other| **other != node)
            .copied()
            .collect();
        entry.proven_elsewhere &= !entry.elsewhere.is_empty();
        if entry.is_here() || !entry.elsewhere.is_empty() {
            return (false, false);
        }
        let gave_way = entry.gave_way;
        self.take_out(&mut channels, channel, client);
        (true, gave_way)
    }

    /// Where a node says that its clients are.
    pub(crate) fn memberships_of(&self, node: NodeId) -> HashSet<Membership> {
        let mut memberships = HashSet::new();
        for shard in &self.shards {
            for (channel, present) in shard.lock().iter() {
                let there = present
                    .iter()
                    .filter(|(_, entry)| entry.elsewhere.contains(&node));
                memberships.extend(there.map(|(client, _)| (channel.clone(), client.clone())));
            }
        }
        memberships
    }

    /// A node does not have these any more. Returns those that are on no other.
    pub(crate) fn forget(
        &self,
        node: NodeId,
        memberships: impl IntoIterator<Item = Membership>,
    ) -> Vec<Membership> {
        let is_gone =
            |(channel, client): &Membership| -> bool { self.is_off(node, channel, client).0 };
        memberships.into_iter().filter(is_gone).collect()
    }

    /// Everybody who is on this node, in parts.
    pub(crate) fn everybody_here(&self) -> impl Iterator<Item = Vec<PresenceChange>> {
        self.shards.iter().map(|shard| {
            let channels = shard.lock();
            let entries = channels.iter().flat_map(|(channel, present)| {
                let here = present.iter().filter(|(_, entry)| entry.is_here());
                here.map(move |(client, entry)| {
                    let state = entry.state.as_deref();
                    PresenceChange::here(channel, client, state).proven(entry.proven_here)
                })
            });
            entries.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{super::changes::Changes, *};
    use crate::{
        JsonText,
        counters::Counters,
        limits::Limits,
        presence::{Lease, Member, MemberOwner},
    };

    fn presence(members_max: usize, changes: Option<Arc<Changes>>) -> Presence {
        let limits = Limits {
            members_max,
            ..Limits::default()
        };
        Presence::new(&limits, &Counters::default(), changes)
    }

    /// Two nodes that hear of each other when they are told to.
    struct Two {
        tables: [Presence; 2],
        changes: [Arc<Changes>; 2],
    }

    impl Two {
        fn new() -> Self {
            let changes = [Arc::new(Changes::default()), Arc::new(Changes::default())];
            let table = |changes: &Arc<Changes>| presence(100, Some(changes.clone()));
            Self {
                tables: [table(&changes[0]), table(&changes[1])],
                changes,
            }
        }

        /// What both have to tell; returns who tells of whom as gone.
        fn exchange(&self) -> Vec<(usize, Membership)> {
            let mut told = Vec::new();
            let said = [self.changes[0].take(), self.changes[1].take()];
            for (from, said) in said.iter().enumerate() {
                let to = 1 - from;
                for change in said.parts.iter().flatten() {
                    let (own, from) = (NodeId(to as u64), NodeId(from as u64));
                    let gone = self.tables[to].hear(own, from, change);
                    told.extend(gone.map(|gone| (to, gone)));
                }
            }
            told
        }
    }

    fn lease() -> Lease {
        Lease {
            timeout: None,
            otherwise: Duration::from_secs(9),
            is_held: false,
        }
    }

    fn membership() -> Membership {
        (Channel::new("room").unwrap(), ClientId::new("ann").unwrap())
    }

    #[test]
    fn a_client_is_present_while_it_is_on_one_node() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        assert!(left.join(&room, &ann, &MemberOwner::default()));
        assert_eq!(right.occupancy(&room), 0);
        two.exchange();
        assert_eq!(right.occupancy(&room), 1);
        assert!(
            !right.join(&room, &ann, &MemberOwner::default()),
            "it is no newcomer"
        );
        two.exchange();
        assert!(!left.leave(&room, &ann), "it is still on the other node");
        two.exchange();
        assert_eq!([left, right].map(|table| table.occupancy(&room)), [1, 1]);
        assert!(right.leave(&room, &ann));
        assert_eq!(two.exchange(), []);
        assert_eq!([left, right].map(|table| table.channels().len()), [0, 0]);
    }

    #[test]
    fn one_node_tells_when_both_were_left_at_once() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        left.join(&room, &ann, &MemberOwner::default());
        two.exchange();
        right.join(&room, &ann, &MemberOwner::default());
        two.exchange();
        assert!(!left.leave(&room, &ann) && !right.leave(&room, &ann));
        assert_eq!(two.exchange(), [(0, (room.clone(), ann))]);
        assert_eq!([left, right].map(|table| table.occupancy(&room)), [0, 0]);
    }

    #[test]
    fn states_and_leaving_are_for_all_nodes() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        left.touch(&room, &ann, lease(), &MemberOwner::default());
        two.exchange();
        right.touch(&room, &ann, lease(), &MemberOwner::default());
        let state = JsonText::of("busy").unwrap();
        assert!(right.set_state(&room, &ann, Some(state.clone())));
        two.exchange();
        let member = Member {
            client: ann.clone(),
            state: Some(state),
        };
        assert_eq!(left.members(&room), [member]);
        assert!(left.remove(&room, &ann));
        two.exchange();
        assert_eq!(right.occupancy(&room), 0);
    }

    #[test]
    fn who_has_proven_to_be_a_client_is_known_everywhere_as_long_as_it_is_there() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        right.touch(&room, &ann, lease(), &MemberOwner::default());
        two.exchange();
        assert!(!left.is_proven(&room, &ann));
        left.join(&room, &ann, &MemberOwner::default());
        left.prove(&room, &ann);
        two.exchange();
        assert!(right.is_proven(&room, &ann) && left.is_proven(&room, &ann));
        // Whoever comes later hears of it too.
        let third = presence(100, None);
        for change in left.everybody_here().flatten() {
            third.hear(NodeId(2), NodeId(0), &change);
        }
        assert!(third.is_proven(&room, &ann));
        assert!(!left.leave(&room, &ann), "she is on the other node");
        two.exchange();
        assert!(!right.is_proven(&room, &ann) && !left.is_proven(&room, &ann));
    }

    #[test]
    fn what_a_lost_node_had_is_forgotten() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        let bob = ClientId::new("bob").unwrap();
        left.join(&room, &ann, &MemberOwner::default());
        left.join(&room, &bob, &MemberOwner::default());
        right.join(&room, &bob, &MemberOwner::default());
        two.exchange();
        let everybody: Vec<_> = left.everybody_here().flatten().collect();
        assert_eq!(everybody.len(), 2);
        let lost = right.memberships_of(NodeId(0));
        assert_eq!(lost.len(), 2);
        assert_eq!(right.forget(NodeId(0), lost), [(room.clone(), ann)]);
        assert_eq!(right.occupancy(&room), 1);
    }

    #[test]
    fn what_cannot_be_counted_is_not_present() {
        let (table, (room, ann)) = (presence(1, None), membership());
        let bob = ClientId::new("bob").unwrap();
        assert!(table.join(&room, &ann, &MemberOwner::default()));
        assert!(!table.join(&room, &bob, &MemberOwner::default()));
        assert!(!table.leave(&room, &bob));
        assert!(table.remove(&room, &ann));
        assert!(table.join(&room, &bob, &MemberOwner::default()));
        assert!(table.leave(&room, &bob));
        assert!(table.join(&room, &ann, &MemberOwner::default()));
    }
}
