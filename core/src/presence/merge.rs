//! Merge of what other nodes say into the table.

use std::collections::HashSet;

use super::{
    Channels, Presence,
    change::{Cause, ChangeKind, Gone, Here, Membership, PresenceChange},
    present::{Passing, PresenceEntry, Present},
};
use crate::{
    channel::Channel,
    identity::{ClientId, NodeId},
    publication::{JsonText, PresenceAction},
};

impl Presence {
    /// Takes what another node says. Of a client whose node that was to tell was lost, the members are told where
    /// `tells_for_lost`.
    pub(crate) fn hear(&self, from: NodeId, change: &PresenceChange, tells_for_lost: bool) {
        let Some((channel, client)) = change.membership() else {
            return;
        };
        let mut channels = self.shard(&channel).lock();
        self.heard_of(from, &channel, &client);
        match change.what {
            ChangeKind::Passed { heir } if NodeId(heir) == self.own => {
                self.inherit(&mut channels, &channel, &client);
            }
            ChangeKind::Passed { heir } => {
                let present = channels.get_mut(&channel);
                if let Some(entry) = present.and_then(|present| present.get_mut(&client)) {
                    entry.elsewhere.set_teller(Some(NodeId(heir)));
                    entry.passing = Passing::ByAnother;
                }
            }
            ChangeKind::Here(here) => {
                let state = change.stated();
                self.hear_here(&mut channels, &channel, &client, from, here, state);
            }
            ChangeKind::State => {
                let present = channels.get_mut(&channel);
                if let Some(entry) = present.and_then(|present| present.get_mut(&client)) {
                    entry.state = change.stated().map(Box::new);
                }
            }
            ChangeKind::Left => {
                let present = channels.get_mut(&channel);
                let entry = present.and_then(|present| present.get_mut(&client));
                if let Some(entry) = entry
                    && entry.is_here()
                {
                    entry.end_signs();
                    if !entry.is_here() {
                        let action = PresenceAction::Leave;
                        self.depart(&mut channels, &channel, &client, action, Cause::Own);
                    }
                }
            }
            ChangeKind::Gone(gone) => {
                self.hear_gone(&mut channels, &channel, &client, from, gone, tells_for_lost);
            }
        }
    }

    fn hear_here(
        &self,
        channels: &mut Channels,
        channel: &Channel,
        client: &ClientId,
        from: NodeId,
        here: Here,
        state: Option<JsonText>,
    ) {
        let Some((entry, is_new)) = self.entry(channels, channel, client, None) else {
            return;
        };
        entry.elsewhere.put(from, here);
        entry.proven_elsewhere |= here.is_proven;
        if is_new || entry.state.is_none() {
            entry.state = state.map(Box::new);
        }
        // Somebody else has told that it came; or it had not heard yet that members were told that it is gone.
        entry.told_gone |= is_new && !here.tells;
        if here.tells {
            entry.is_orphan = false;
            entry.told_gone = false;
            entry.passing = Passing::Settled;
            if entry.tells && from < self.own {
                // That one may have told already that the client went.
                entry.tells = false;
                entry.elsewhere.set_teller(Some(from));
                entry.passing = Passing::ByThis;
                self.note_change(|| PresenceChange::passed(channel, client, from));
            } else if entry.tells {
                entry.elsewhere.set_teller(None);
                // It hears that it does not.
                self.note_here(channel, client, entry);
            }
        }
    }

    fn hear_gone(
        &self,
        channels: &mut Channels,
        channel: &Channel,
        client: &ClientId,
        from: NodeId,
        gone: Gone,
        tells_for_lost: bool,
    ) {
        let is_heir = gone.heir() == Some(self.own);
        let present = channels.get_mut(channel);
        let Some(entry) = present.and_then(|present| present.get_mut(client)) else {
            if is_heir {
                self.inherit(channels, channel, client);
            }
            return;
        };
        let was_here = entry.is_here();
        entry.elsewhere.remove(from);
        if let Some(lost) = gone.lost() {
            entry.elsewhere.remove(lost);
        }
        entry.proven_elsewhere &= !entry.elsewhere.is_empty();
        if gone.has_left {
            entry.end_signs();
        }
        if let Some(heir) = gone.heir() {
            entry.elsewhere.set_teller(Some(heir));
            entry.is_orphan = false;
            entry.passing = Passing::ByAnother;
        }
        entry.tells |= is_heir;
        entry.told_gone |= gone.was_told && !entry.is_here();
        // Nobody tells of one whose node was lost that was to.
        let is_last = entry.is_orphan && entry.elsewhere.is_empty();
        entry.tells |= is_last
            && tells_for_lost
            && !gone.was_told
            && gone.heir().is_none()
            && !entry.is_here();
        if entry.is_here() {
            if gone.was_told || (gone.is_echo && !entry.told_join) {
                self.tell_that_it_is_here(channels, channel, client);
            } else if is_heir || (gone.heir().is_none() && self.takes_over(entry)) {
                self.tell_from_now_on(channel, client, entry);
            }
        } else if was_here || entry.tells {
            let is_echo = was_here && gone.was_told;
            let cause = if is_echo { Cause::Echo } else { Cause::Own };
            let action = PresenceAction::Leave;
            self.depart(channels, channel, client, action, cause);
        } else if entry.elsewhere.is_empty() {
            self.take_out(channels, channel, client);
        }
    }

    /// It falls to this node to tell of a client: it does when the client goes from here, or passes it on, or tells that it
    /// has gone.
    fn inherit(&self, channels: &mut Channels, channel: &Channel, client: &ClientId) {
        let present = channels.get_mut(channel);
        let action = PresenceAction::Leave;
        match present.and_then(|present| present.get_mut(client)) {
            Some(entry) if entry.is_here() => self.tell_from_now_on(channel, client, entry),
            Some(entry) => {
                entry.tells = true;
                self.depart(channels, channel, client, action, Cause::Own);
            }
            // It had gone from here meanwhile.
            None => {
                let gone = Gone::told(true);
                self.tell_of_last(channels, channel, client, action, None, gone);
            }
        }
    }

    fn tell_from_now_on(&self, channel: &Channel, client: &ClientId, entry: &mut PresenceEntry) {
        entry.tells = true;
        entry.is_orphan = false;
        entry.passing = Passing::Settled;
        entry.elsewhere.set_teller(None);
        self.note_here(channel, client, entry);
    }

    /// What another node says of a client that has left is newer than what was awaited of it.
    fn heard_of(&self, from: NodeId, channel: &Channel, client: &ClientId) {
        let mut awaited = self.awaited.lock();
        // Mostly there is none.
        if awaited.is_empty() {
            return;
        }
        if let Some(of_node) = awaited.get_mut(&from) {
            of_node.remove(&(channel.clone(), client.clone()));
            if of_node.is_empty() {
                awaited.remove(&from);
            }
        }
    }

    /// True when nobody is known to tell of a client, and this is the first node that it is on.
    fn takes_over(&self, entry: &PresenceEntry) -> bool {
        let is_passed = entry.passing != Passing::Settled;
        !entry.tells && !is_passed && !entry.elsewhere.has_teller() && entry.is_first(self.own)
    }

    /// Another node has told that a client is gone which is on this one: it is told that it is there.
    fn tell_that_it_is_here(&self, channels: &mut Channels, channel: &Channel, client: &ClientId) {
        let Some(present) = channels.get_mut(channel) else {
            return;
        };
        let occupancy = present.len();
        let Some(entry) = present.get_mut(client) else {
            return;
        };
        entry.told_join = true;
        self.tell_from_now_on(channel, client, entry);
        let (action, state) = (PresenceAction::Join, entry.state.as_deref());
        let is_proven = entry.is_proven();
        self.notice(action, channel, client, occupancy, state, is_proven);
    }

    /// Tells of a client that is on no node, which was not this one's to tell before.
    fn tell_of_last(
        &self,
        channels: &mut Channels,
        channel: &Channel,
        client: &ClientId,
        action: PresenceAction,
        state: Option<&JsonText>,
        gone: Gone,
    ) {
        let occupancy = channels.get(channel).map_or(0, Present::len);
        self.note_change(|| PresenceChange::gone(channel, client, gone));
        self.notice(action, channel, client, occupancy, state, false);
    }

    /// Where a node says that its clients are.
    pub(crate) fn memberships_of(&self, node: NodeId) -> HashSet<Membership> {
        let mut memberships = HashSet::new();
        for shard in &self.shards {
            for (channel, present) in shard.lock().iter() {
                let there = present
                    .iter()
                    .filter(|(_, entry)| entry.elsewhere.contains(node));
                memberships.extend(there.map(|(client, _)| (channel.clone(), client.clone())));
            }
        }
        memberships
    }

    /// A node does not have these any more. Of those that are on no other the members are told where
    /// `tells_for_lost`, which is one of the nodes.
    pub(crate) fn forget(
        &self,
        node: NodeId,
        memberships: impl IntoIterator<Item = Membership>,
        tells_for_lost: bool,
    ) {
        for (channel, client) in memberships {
            self.forget_one(node, &channel, &client, tells_for_lost);
        }
        let awaited = self.awaited.lock().remove(&node);
        for (channel, client) in awaited.into_iter().flatten().filter(|_| tells_for_lost) {
            let mut channels = self.shard(&channel).lock();
            let present = channels.get_mut(&channel);
            if present.is_none_or(|present| present.get_mut(&client).is_none()) {
                let (action, gone) = (PresenceAction::Timeout, Gone::with(node));
                self.tell_of_last(&mut channels, &channel, &client, action, None, gone);
            }
        }
    }

    fn forget_one(&self, node: NodeId, channel: &Channel, client: &ClientId, tells_for_lost: bool) {
        let mut channels = self.shard(channel).lock();
        let present = channels.get_mut(channel);
        let Some(entry) = present.and_then(|present| present.get_mut(client)) else {
            return;
        };
        if !entry.elsewhere.contains(node) {
            return;
        }
        entry.elsewhere.remove(node);
        entry.proven_elsewhere &= !entry.elsewhere.is_empty();
        let is_known = entry.tells || entry.elsewhere.has_teller();
        let passing = entry.passing;
        if !is_known {
            entry.passing = Passing::Settled;
        }
        if self.takes_over(entry) {
            self.tell_from_now_on(channel, client, entry);
        } else if !is_known && passing == Passing::ByThis && !entry.is_here() {
            // The heir has it no more.
            entry.tells = true;
            let action = PresenceAction::Timeout;
            self.depart(&mut channels, channel, client, action, Cause::Own);
        } else if entry.is_here() || !entry.elsewhere.is_empty() {
            entry.is_orphan |= !is_known;
        } else {
            let (state, was_told) = (entry.state.take(), entry.told_gone);
            self.take_out(&mut channels, channel, client);
            if tells_for_lost && !was_told && passing != Passing::ByAnother {
                let (action, gone) = (PresenceAction::Timeout, Gone::with(node));
                let state = state.as_deref();
                self.tell_of_last(&mut channels, channel, client, action, state, gone);
            }
        }
    }

    /// Everybody who is on this node, in parts.
    pub(crate) fn everybody_here(&self) -> impl Iterator<Item = Vec<PresenceChange>> {
        self.shards.iter().map(|shard| {
            let channels = shard.lock();
            let entries = channels.iter().flat_map(|(channel, present)| {
                let here = present.iter().filter(|(_, entry)| entry.is_here());
                here.map(move |(client, entry)| {
                    let state = entry.state.as_deref();
                    PresenceChange::here(channel, client, state, entry.here())
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
        presence::{Coming, Lease, Member, MemberOwner},
    };

    fn presence(own: NodeId, members_max: usize, changes: Option<Arc<Changes>>) -> Presence {
        let limits = Limits {
            members_max,
            ..Limits::default()
        };
        Presence::new(own, &limits, &Counters::default(), changes)
    }

    /// Two nodes that hear of each other when they are told to.
    struct Two {
        tables: [Presence; 2],
        changes: [Arc<Changes>; 2],
    }

    impl Two {
        fn new() -> Self {
            let changes = [Arc::new(Changes::default()), Arc::new(Changes::default())];
            let table = |own: usize| presence(NodeId(own as u64), 100, Some(changes[own].clone()));
            Self {
                tables: [table(0), table(1)],
                changes,
            }
        }

        /// What both have to tell, until there is nothing left.
        fn exchange(&self) {
            loop {
                let said = [self.changes[0].take(), self.changes[1].take()];
                if said.iter().all(|said| said.parts.is_empty()) {
                    return;
                }
                for (from, said) in said.iter().enumerate() {
                    for change in said.parts.iter().flatten() {
                        self.tables[1 - from].hear(NodeId(from as u64), change, from == 1);
                    }
                }
            }
        }

        /// What members are told, and by which node.
        fn told(&self) -> Vec<(usize, PresenceAction)> {
            let told = self.tables.iter().enumerate().flat_map(|(node, table)| {
                let (told, _) = table.notices().take(usize::MAX);
                told.into_iter()
                    .map(move |notice| (node, notice.event.action))
            });
            told.collect()
        }
    }

    fn lease() -> Lease {
        Lease {
            timeout: None,
            otherwise: Duration::from_secs(9),
            is_held: false,
        }
    }

    /// A sign of life.
    fn touch(table: &Presence, channel: &Channel, client: &ClientId) {
        table.touch(
            channel,
            client,
            lease(),
            Coming::of(&MemberOwner::default()),
        );
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
        two.exchange();
        assert_eq!(
            two.told(),
            [(0, PresenceAction::Join), (1, PresenceAction::Leave)]
        );
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
        two.exchange();
        let told = [(0, PresenceAction::Join), (1, PresenceAction::Leave)];
        assert_eq!(two.told(), told);
        assert_eq!([left, right].map(|table| table.occupancy(&room)), [0, 0]);
    }

    #[test]
    fn states_and_leaving_are_for_all_nodes() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        touch(left, &room, &ann);
        two.exchange();
        touch(right, &room, &ann);
        let state = JsonText::of("busy").unwrap();
        assert!(right.set_state(&room, &ann, Some(state.clone())));
        two.exchange();
        let member = Member {
            client: ann.clone(),
            state: Some(state),
        };
        assert_eq!(left.members(&room), [member]);
        two.told();
        assert!(left.end_signs(&room, &ann));
        assert_eq!(left.occupancy(&room), 0, "it does not wait for the other");
        two.exchange();
        assert_eq!(right.occupancy(&room), 0);
        assert_eq!(two.told(), [(0, PresenceAction::Leave)]);
        assert!(!right.end_signs(&room, &ann));
    }

    #[test]
    fn who_leaves_by_one_protocol_stays_by_another() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        touch(left, &room, &ann);
        two.exchange();
        right.join(&room, &ann, &MemberOwner::default());
        touch(right, &room, &ann);
        two.exchange();
        assert!(left.end_signs(&room, &ann));
        two.exchange();
        assert_eq!([left, right].map(|table| table.occupancy(&room)), [1, 1]);
        assert!(!right.end_signs(&room, &ann), "none is left");
        // A request that was under way brings no sign of life back.
        right.release(&room, &ann);
        assert_eq!(two.told(), [(0, PresenceAction::Join)]);
        assert!(right.leave(&room, &ann));
        two.exchange();
        assert_eq!(two.told(), [(1, PresenceAction::Leave)]);
    }

    #[test]
    fn who_comes_to_one_node_while_it_goes_from_the_other_is_told_as_there() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        left.join(&room, &ann, &MemberOwner::default());
        two.exchange();
        assert!(!right.join(&room, &ann, &MemberOwner::default()));
        assert!(left.leave(&room, &ann), "it has not heard of it");
        two.exchange();
        let told = [
            (0, PresenceAction::Join),
            (0, PresenceAction::Leave),
            (1, PresenceAction::Join),
        ];
        assert_eq!(two.told(), told);
    }

    #[test]
    fn of_two_that_tell_that_it_came_one_tells_that_it_went() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        assert!(left.join(&room, &ann, &MemberOwner::default()));
        assert!(right.join(&room, &ann, &MemberOwner::default()));
        two.exchange();
        assert_eq!(two.told().len(), 2);
        right.leave(&room, &ann);
        left.leave(&room, &ann);
        two.exchange();
        assert_eq!(two.told().len(), 1);
    }

    #[test]
    fn who_has_proven_to_be_a_client_is_known_everywhere_as_long_as_it_is_there() {
        let (two, (room, ann)) = (Two::new(), membership());
        let [left, right] = &two.tables;
        touch(right, &room, &ann);
        two.exchange();
        assert!(!left.is_proven(&room, &ann));
        let owner = MemberOwner::default();
        left.attach(&room, &ann, Coming::of(&owner).proven(true));
        two.exchange();
        assert!(right.is_proven(&room, &ann) && left.is_proven(&room, &ann));
        // Whoever comes later hears of it too.
        let third = presence(NodeId(2), 100, None);
        for change in left.everybody_here().flatten() {
            third.hear(NodeId(0), &change, false);
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
        two.told();
        right.forget(NodeId(0), lost, true);
        assert_eq!(two.told(), [(1, PresenceAction::Timeout)]);
        assert_eq!(right.occupancy(&room), 1);
        // Whoever is on both stays, and the other node tells of it from now on.
        assert!(right.leave(&room, &bob));
        assert_eq!(two.told(), [(1, PresenceAction::Leave)]);
    }

    #[test]
    fn what_cannot_be_counted_is_not_present() {
        let (table, (room, ann)) = (presence(NodeId(0), 1, None), membership());
        let bob = ClientId::new("bob").unwrap();
        assert!(table.join(&room, &ann, &MemberOwner::default()));
        assert!(!table.join(&room, &bob, &MemberOwner::default()));
        assert!(!table.leave(&room, &bob));
        assert!(table.leave(&room, &ann));
        assert!(table.join(&room, &bob, &MemberOwner::default()));
        assert!(table.leave(&room, &bob));
        assert!(table.join(&room, &ann, &MemberOwner::default()));
    }
}
