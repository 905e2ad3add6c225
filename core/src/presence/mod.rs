//! Presence: which clients are present on which channel, with their state.

mod change;
mod changes;
mod coming;
mod due;
mod elsewhere;
mod member_slots;
mod merge;
#[cfg(test)]
mod model;
mod notices;
mod owner;
mod present;
mod settings;
mod summaries;

#[cfg(test)]
pub(crate) use self::change::{ChangeKind, Here};
pub(crate) use self::{
    change::{Cause, Gone, Membership, PresenceChange},
    changes::{Changes, parts},
    coming::Coming,
    notices::{PresenceNotice, PresenceNotices},
};
pub use self::{
    owner::{MemberOwner, Tenant},
    settings::PresenceSettings,
};

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use self::{
    due::Due,
    member_slots::MemberSlots,
    present::{Passing, PresenceEntry, Present, Standing},
};
use crate::{
    channel::Channel,
    counters::{Counter, Counters},
    identity::{ClientId, Identity, NodeId},
    limits::Limits,
    publication::{JsonText, PresenceAction, PresenceEvent},
};

/// Clients that are present on channels of all nodes, with their state.
///
/// A client is present while one of its connections is on the channel, or until the time-out of its last
/// sign of life, where its protocol has no connections. That a client comes where it was not, goes from where it was, or
/// has another state is noted in the same step, and the [space](crate::Space) tells the members.
///
/// Nodes tell each other of their changes. The node that a client came to first tells the members when it is gone from
/// all; where the client goes from that node and is on others, one of these takes it over. So one node tells, once, though
/// clients come and go everywhere. What another node says comes a moment later: two nodes may both find a client new that
/// comes to both at once, and then both tell that it came; the first of them by its number tells that it went. A node that
/// hears that a client went which it has tells that it came again.
#[derive(Debug)]
pub struct Presence {
    own: NodeId,
    shards: Box<[PresenceShard]>,
    hasher: RandomState,
    /// When to look whether a client's time is over.
    due: Due,
    /// How many there are on all channels: a client on two channels counts twice.
    members: AtomicUsize,
    members_max: usize,
    /// No room was left for it.
    not_counted: Arc<Counter>,
    /// How many each owner has on this node.
    slots: Arc<MemberSlots>,
    /// For the other nodes, where there may be any.
    changes: Option<Arc<Changes>>,
    /// For the members.
    notices: PresenceNotices,
    /// Who has left and is not in the table any more, of whom another node tells that is to hear of it; in case that it
    /// is lost.
    awaited: Mutex<HashMap<NodeId, HashSet<Membership>>>,
}

/// Locks among which the channels are spread, so that joins of different channels rarely meet.
const SHARDS: usize = 32;

type Channels = HashMap<Channel, Present, RandomState>;

type PresenceShard = Mutex<Channels>;

/// A client that is present on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub client: ClientId,
    /// What the client says about itself.
    pub state: Option<JsonText>,
}

/// How long a sign of life counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// So long; none for as long as the one before.
    pub timeout: Option<Duration>,
    /// So long where there was none before.
    pub otherwise: Duration,
    /// It is a request that is under way: until it is [released](Presence::release) the client's time is not
    /// over.
    pub is_held: bool,
}

impl Lease {
    /// A sign of life that counts so long.
    pub fn of(timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            otherwise: timeout,
            is_held: false,
        }
    }
}

/// What a sign of life did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TouchOutcome {
    /// The client was not present before.
    pub is_new: bool,
    /// It is to be [released](Presence::release): it was asked to be held, and there is room for it.
    pub is_held: bool,
    /// The members are told of it: the client is new, or has another state.
    pub is_told: bool,
}

/// What became of a client that came.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Came {
    /// It counts, and is to leave again: there was room for it.
    pub(crate) counts: bool,
    /// It was not present before.
    pub(crate) is_new: bool,
    /// The members are told of it.
    pub(crate) is_told: bool,
}

impl Default for Presence {
    fn default() -> Self {
        let limits = Limits {
            members_max: usize::MAX,
            members_per_connection_max: usize::MAX,
            members_per_address_max: usize::MAX,
            ..Limits::default()
        };
        Self::new(NodeId(0), &limits, &Counters::default(), None)
    }
}

impl Presence {
    /// An empty table. A newcomer above the bounds of the limits is not present; `changes` is told what other nodes
    /// should know.
    pub(crate) fn new(
        own: NodeId,
        limits: &Limits,
        counters: &Counters,
        changes: Option<Arc<Changes>>,
    ) -> Self {
        Self {
            own,
            shards: (0..SHARDS).map(|_| PresenceShard::default()).collect(),
            hasher: RandomState::default(),
            due: Due::default(),
            members: AtomicUsize::new(0),
            members_max: limits.members_max,
            not_counted: counters.of("server", "not counted as present: limits.members_max"),
            slots: MemberSlots::new(limits, counters),
            changes,
            notices: PresenceNotices::new(counters),
            awaited: Mutex::default(),
        }
    }

    fn shard(&self, channel: &Channel) -> &PresenceShard {
        let hash = self.hasher.hash_one(channel);
        &self.shards[(hash >> 57) as usize % SHARDS]
    }

    /// Where changes are put that other nodes should know, where there may be any.
    pub(crate) fn changes(&self) -> Option<Arc<Changes>> {
        self.changes.clone()
    }

    /// What the members are to be told.
    pub(crate) fn notices(&self) -> &PresenceNotices {
        &self.notices
    }

    /// A connection of `client` joined. True when the client was not present before.
    pub fn join(&self, channel: &Channel, client: &ClientId, owner: &MemberOwner) -> bool {
        self.attach(channel, client, Coming::of(owner)).is_new
    }

    /// A connection of `client` left. True when the client is not present any more.
    pub fn leave(&self, channel: &Channel, client: &ClientId) -> bool {
        self.detach(channel, client, PresenceAction::Leave)
    }

    /// A connection of a client is on a channel from now on, until it is [detached](Self::detach); unless there is no room
    /// for it.
    pub(crate) fn attach(&self, channel: &Channel, client: &ClientId, coming: Coming<'_>) -> Came {
        self.come(channel, client, coming, |entry| entry.attached += 1)
    }

    /// A connection that counted is not there any more. True when the client is not present any more: then the members are
    /// told of this action.
    pub(crate) fn detach(
        &self,
        channel: &Channel,
        client: &ClientId,
        action: PresenceAction,
    ) -> bool {
        let mut channels = self.shard(channel).lock();
        let entry = channels
            .get_mut(channel)
            .and_then(|present| present.get_mut(client));
        let Some(entry) = entry.filter(|entry| entry.attached > 0) else {
            return false;
        };
        entry.attached -= 1;
        match entry.standing() {
            Standing::Attached => false,
            Standing::Alive => {
                self.note_here(channel, client, entry);
                false
            }
            Standing::Away => self.depart(&mut channels, channel, client, action, Cause::Own),
        }
    }

    /// A sign of life of a client without a connection: it is present until a time has passed without another.
    pub(crate) fn touch(
        &self,
        channel: &Channel,
        client: &ClientId,
        lease: Lease,
        coming: Coming<'_>,
    ) -> TouchOutcome {
        let now = Instant::now();
        let mut note = None;
        let came = self.come(channel, client, coming, |entry| {
            let before = entry.life.as_ref().map(|life| life.timeout);
            // One that was ended says nothing of the next.
            let before = before.filter(|timeout| !timeout.is_zero());
            let timeout = lease.timeout.or(before).unwrap_or(lease.otherwise);
            note = entry.touch(now, timeout);
            entry.held += u32::from(lease.is_held);
        });
        self.note(note, channel, client);
        TouchOutcome {
            is_new: came.is_new,
            is_held: lease.is_held && came.counts,
            is_told: came.is_told,
        }
    }

    /// A request that was [held](Lease::is_held) is over, which is a sign of life. It brings nobody back who left
    /// meanwhile.
    pub fn release(&self, channel: &Channel, client: &ClientId) {
        let now = Instant::now();
        let note = self.with(channel, client, |entry| {
            // Nothing is held any more of one that has left.
            if entry.held == 0 {
                return None;
            }
            entry.held -= 1;
            let timeout = entry.life.as_ref().map(|life| life.timeout);
            timeout.and_then(|timeout| entry.touch(now, timeout))
        });
        self.note(note.flatten(), channel, client);
    }

    /// True when a client gives signs of life to other nodes and has no connection there, as far as this node knows.
    pub fn gives_signs_elsewhere(&self, channel: &Channel, client: &ClientId) -> bool {
        let gives = |entry: &mut PresenceEntry| entry.elsewhere.gives_signs();
        self.with(channel, client, gives).unwrap_or_default()
    }

    /// The signs of life of a client end, on all nodes; where it is connected it stays. True when it gave any.
    pub(crate) fn end_signs(&self, channel: &Channel, client: &ClientId) -> bool {
        let mut channels = self.shard(channel).lock();
        let entry = channels
            .get_mut(channel)
            .and_then(|present| present.get_mut(client));
        let Some(entry) = entry.filter(|e| e.gives_signs() || e.elsewhere.gives_signs()) else {
            return false;
        };
        let was_here = entry.is_here();
        entry.end_signs();
        // Of these it is not waited to hear that they have ended them, unless it may be this node that tells of it.
        if !entry.is_orphan
            && let Some(teller) = entry.elsewhere.remove_signs()
        {
            self.note_awaited(teller, channel, client);
        }
        entry.proven_elsewhere &= !entry.elsewhere.is_empty();
        let (is_here, is_elsewhere) = (entry.is_here(), !entry.elsewhere.is_empty());
        if was_here && !is_here {
            let action = PresenceAction::Leave;
            self.depart(&mut channels, channel, client, action, Cause::Left);
            return true;
        }
        if !is_here && !is_elsewhere {
            self.take_out(&mut channels, channel, client);
        }
        self.note_change(|| PresenceChange::left(channel, client));
        true
    }

    /// True when a credential has proven who a present client is.
    pub(crate) fn is_proven(&self, channel: &Channel, client: &ClientId) -> bool {
        let proven = |entry: &mut PresenceEntry| entry.is_proven();
        self.with(channel, client, proven).unwrap_or_default()
    }

    /// Notes what a sign of life rests on: it [ends](Self::end_leases) with that.
    pub(crate) fn rests_on(&self, channel: &Channel, client: &ClientId, identity: &Identity) {
        self.with(channel, client, |entry| {
            let Some(life) = &mut entry.life else { return };
            let is_same = |known: &Identity| {
                known.credential == identity.credential
                    && known.client == identity.client
                    && known.issued_at == identity.issued_at
            };
            if !life.rests_on.as_deref().is_some_and(is_same) {
                life.rests_on = Some(Box::new(identity.without_rights()));
            }
        });
    }

    /// Ends signs of life that rest on what does not count any more, in parts. It is looked soon whether their clients are
    /// present still.
    pub(crate) fn end_leases<'p>(
        &'p self,
        is_over: impl Fn(&Identity) -> bool + 'p,
    ) -> impl Iterator<Item = ()> + 'p {
        self.shards.iter().map(move |shard| {
            let now = Instant::now();
            let mut ended = Vec::new();
            for (channel, present) in shard.lock().iter_mut() {
                for (client, entry) in present.iter_mut() {
                    let life = entry.life.as_ref();
                    let rests_on = life.and_then(|life| life.rests_on.as_deref());
                    if rests_on.is_some_and(&is_over) {
                        entry.touch(now, Duration::ZERO);
                        ended.push((channel.clone(), client.clone()));
                    }
                }
            }
            for (channel, client) in ended {
                self.due.note(now, channel, client);
            }
        })
    }

    /// The state of a client; `None` when it is not present.
    pub fn state(&self, channel: &Channel, client: &ClientId) -> Option<Option<JsonText>> {
        self.with(channel, client, |entry| entry.state.as_deref().cloned())
    }

    /// The channels that somebody is present on, in no order, but for those that apps use among themselves.
    pub fn channels(&self) -> Vec<Channel> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let channels = shard.lock();
            let shown = channels.keys().filter(|channel| !channel.is_reserved());
            found.extend(shown.cloned());
        }
        found
    }

    /// The channels that a client is present on, in no order, but for those that apps use among themselves.
    pub fn channels_of(&self, client: &ClientId) -> Vec<Channel> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let mut channels = shard.lock();
            let with = channels
                .iter_mut()
                .filter(|(channel, _)| !channel.is_reserved())
                .filter_map(|(channel, present)| present.get_mut(client).map(|_| channel));
            found.extend(with.cloned());
        }
        found
    }

    /// Sets the state of a present client; the members are told if it is another one. False when it is not present.
    pub fn set_state(&self, channel: &Channel, client: &ClientId, state: Option<JsonText>) -> bool {
        let mut channels = self.shard(channel).lock();
        let Some(present) = channels.get_mut(channel) else {
            return false;
        };
        let occupancy = present.len();
        let Some(entry) = present.get_mut(client) else {
            return false;
        };
        if entry.state.as_deref() != state.as_ref() {
            self.take_state(channel, client, entry, occupancy, state);
        }
        true
    }

    fn take_state(
        &self,
        channel: &Channel,
        client: &ClientId,
        entry: &mut PresenceEntry,
        occupancy: usize,
        state: Option<JsonText>,
    ) {
        self.note_change(|| PresenceChange::state(channel, client, state.as_ref()));
        entry.state = state.map(Box::new);
        let (action, state) = (PresenceAction::StateChange, entry.state.as_deref());
        self.notice(action, channel, client, occupancy, state, entry.is_proven());
    }

    /// The clients that are present, in the order of their ids.
    pub fn members(&self, channel: &Channel) -> Vec<Member> {
        let channels = self.shard(channel).lock();
        let Some(present) = channels.get(channel) else {
            return Vec::new();
        };
        present
            .iter()
            .map(|(client, entry)| Member {
                client: client.clone(),
                state: entry.state.as_deref().cloned(),
            })
            .collect()
    }

    /// How many clients are present.
    pub fn occupancy(&self, channel: &Channel) -> usize {
        self.shard(channel)
            .lock()
            .get(channel)
            .map_or(0, Present::len)
    }

    /// Ends signs of life whose time is over: their clients are gone where they have no connection. It looks only at
    /// those whose time may be over.
    pub(crate) fn expire(&self, now: Instant) {
        for (channel, client) in self.due.take(now) {
            if let Some(later) = self.expire_one(&channel, &client, now) {
                self.due.note(later, channel, client);
            }
        }
    }

    /// Says when to look again, where the time is not over.
    fn expire_one(&self, channel: &Channel, client: &ClientId, now: Instant) -> Option<Instant> {
        let mut channels = self.shard(channel).lock();
        let present = channels.get_mut(channel)?;
        let entry = present.get_mut(client)?;
        let life = entry.life.as_mut()?;
        life.noted = false;
        let end = life.expires_at?;
        if end > now {
            life.noted = true;
            return Some(end);
        }
        life.expires_at = None;
        if !entry.is_here() {
            let action = PresenceAction::Timeout;
            self.depart(&mut channels, channel, client, action, Cause::Own);
        }
        None
    }

    fn note(&self, end: Option<Instant>, channel: &Channel, client: &ClientId) {
        if let Some(end) = end {
            self.due.note(end, channel.clone(), client.clone());
        }
    }

    fn with<T>(
        &self,
        channel: &Channel,
        client: &ClientId,
        work: impl FnOnce(&mut PresenceEntry) -> T,
    ) -> Option<T> {
        let mut channels = self.shard(channel).lock();
        let present = channels.get_mut(channel)?;
        present.get_mut(client).map(work)
    }

    /// Makes somebody present on this node.
    fn come(
        &self,
        channel: &Channel,
        client: &ClientId,
        coming: Coming<'_>,
        change: impl FnOnce(&mut PresenceEntry),
    ) -> Came {
        let mut channels = self.shard(channel).lock();
        let Some((entry, is_new)) = self.entry(&mut channels, channel, client, Some(coming.owner))
        else {
            return Came::default();
        };
        let is_new = std::mem::take(&mut entry.told_gone) || is_new;
        let (before, was_proven) = (entry.standing(), entry.proven_here);
        change(entry);
        entry.proven_here |= coming.is_proven;
        entry.tells |= is_new;
        entry.told_join |= is_new;
        let mut state = coming.state.over(entry.state.as_deref());
        let is_told = is_new || state.is_some();
        if is_new {
            entry.state = state.take().map(Box::new);
        }
        let is_proven = entry.is_proven();
        let told = entry.state.as_deref().filter(|_| is_new).cloned();
        if before != entry.standing() || was_proven != entry.proven_here {
            self.note_here(channel, client, entry);
        }
        let occupancy = channels.get(channel).map_or(0, Present::len);
        if is_new {
            self.notice(
                coming.action,
                channel,
                client,
                occupancy,
                told.as_ref(),
                is_proven,
            );
        } else if state.is_some()
            && let Some(present) = channels.get_mut(channel)
            && let Some(entry) = present.get_mut(client)
        {
            self.take_state(channel, client, entry, occupancy, state);
        }
        Came {
            counts: true,
            is_new,
            is_told,
        }
    }

    /// The entry of a client, and whether it was made just now; `None` when there is no room for it. Without an owner
    /// it is on another node.
    fn entry<'c>(
        &self,
        channels: &'c mut Channels,
        channel: &Channel,
        client: &ClientId,
        owner: Option<&MemberOwner>,
    ) -> Option<(&'c mut PresenceEntry, bool)> {
        let known = channels.get_mut(channel);
        let is_new = known.is_none_or(|present| present.get_mut(client).is_none());
        if is_new && self.members.fetch_add(1, Ordering::Relaxed) >= self.members_max {
            self.members.fetch_sub(1, Ordering::Relaxed);
            self.not_counted.add();
            return None;
        }
        let mut slot = None;
        if is_new && let Some(owner) = owner {
            slot = self.slots.take(owner);
            if slot.is_none() {
                self.members.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
        }
        let present = channels.entry(channel.clone()).or_default();
        let entry = present.entry(client);
        if is_new {
            entry.slot = slot;
        }
        Some((entry, is_new))
    }

    /// A client is not on this node any more, or this node has nothing to do with it but to tell. True when it is present
    /// nowhere, as far as is known here.
    fn depart(
        &self,
        channels: &mut Channels,
        channel: &Channel,
        client: &ClientId,
        action: PresenceAction,
        cause: Cause,
    ) -> bool {
        let entry = channels
            .get_mut(channel)
            .and_then(|present| present.get_mut(client));
        let Some(entry) = entry else { return false };
        let is_proven = entry.is_proven();
        if !entry.elsewhere.is_empty() {
            entry.proven_here = false;
            entry.slot = None;
            let tells = std::mem::take(&mut entry.tells);
            let heir = entry.elsewhere.first().filter(|_| tells);
            if heir.is_some() {
                entry.elsewhere.set_teller(heir);
                entry.passing = Passing::ByThis;
            }
            let gone = Gone::to(heir).by(cause);
            self.note_change(|| PresenceChange::gone(channel, client, gone));
            return false;
        }
        let (tells, state) = (entry.tells, entry.state.take());
        self.take_out(channels, channel, client);
        let gone = Gone::told(tells).by(cause);
        self.note_change(|| PresenceChange::gone(channel, client, gone));
        // Otherwise the node tells that hears of it last.
        if tells {
            let occupancy = channels.get(channel).map_or(0, Present::len);
            let state = state.as_deref();
            self.notice(action, channel, client, occupancy, state, is_proven);
        }
        true
    }

    fn take_out(&self, channels: &mut Channels, channel: &Channel, client: &ClientId) -> bool {
        let Some(present) = channels.get_mut(channel) else {
            return false;
        };
        let removed = present.remove(client).is_some();
        if removed {
            self.members.fetch_sub(1, Ordering::Relaxed);
        }
        if present.len() == 0 {
            channels.remove(channel);
        }
        removed
    }

    /// Another node is to tell of a client that it went. Called while the channel is locked.
    fn note_awaited(&self, node: NodeId, channel: &Channel, client: &ClientId) {
        let mut awaited = self.awaited.lock();
        let of_node = awaited.entry(node).or_default();
        of_node.insert((channel.clone(), client.clone()));
    }

    fn note_here(&self, channel: &Channel, client: &ClientId, entry: &PresenceEntry) {
        let (state, here) = (entry.state.as_deref(), entry.here());
        self.note_change(|| PresenceChange::here(channel, client, state, here));
    }

    /// Called while the channel is locked, so that members are told in the order in which it happened.
    fn notice(
        &self,
        action: PresenceAction,
        channel: &Channel,
        client: &ClientId,
        occupancy: usize,
        state: Option<&JsonText>,
        is_proven: bool,
    ) {
        self.notices.note(PresenceNotice {
            channel: channel.clone(),
            event: PresenceEvent {
                action,
                client: Some(client.clone()),
                occupancy,
                state: state.cloned(),
            },
            is_proven,
        });
    }

    /// Called while the channel is locked, so that changes are told in their order.
    fn note_change(&self, change: impl FnOnce() -> PresenceChange) {
        if let Some(changes) = &self.changes {
            changes.note(change());
        }
    }

    /// Waits, for a bounded time, until the other nodes were told of every change so far.
    pub(crate) async fn told(&self) {
        if let Some(changes) = &self.changes {
            changes.told().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::CredentialId;

    fn names() -> (Channel, ClientId) {
        (Channel::new("room").unwrap(), ClientId::new("ann").unwrap())
    }

    fn lease(seconds: u64) -> Lease {
        Lease::of(Duration::from_secs(seconds))
    }

    /// A sign of life.
    fn touch(
        presence: &Presence,
        channel: &Channel,
        client: &ClientId,
        lease: Lease,
    ) -> TouchOutcome {
        let owner = MemberOwner::default();
        presence.touch(channel, client, lease, Coming::of(&owner))
    }

    /// Who has gone by now, as the members are told.
    fn expired(presence: &Presence, now: Instant) -> Vec<(Channel, ClientId)> {
        presence.expire(now);
        let (told, _) = presence.notices().take(usize::MAX);
        let gone = told
            .into_iter()
            .filter(|notice| notice.event.action == PresenceAction::Timeout);
        gone.map(|notice| (notice.channel, notice.event.client.unwrap()))
            .collect()
    }

    fn held(seconds: u64) -> Lease {
        Lease {
            is_held: true,
            ..lease(seconds)
        }
    }

    #[test]
    fn a_client_is_present_while_one_connection_is() {
        let (presence, (room, ann)) = (Presence::default(), names());
        assert!(presence.join(&room, &ann, &MemberOwner::default()));
        assert!(!presence.join(&room, &ann, &MemberOwner::default()));
        assert_eq!(presence.occupancy(&room), 1);
        let state = JsonText::of("busy").unwrap();
        assert!(presence.set_state(&room, &ann, Some(state.clone())));
        assert_eq!(
            presence.members(&room),
            [Member {
                client: ann.clone(),
                state: Some(state)
            }]
        );
        assert!(!presence.leave(&room, &ann));
        assert!(presence.leave(&room, &ann));
        assert!(!presence.leave(&room, &ann));
        assert!(
            presence.shards.iter().all(|shard| shard.lock().is_empty()),
            "nothing is kept for empty channels"
        );
    }

    #[test]
    fn what_apps_use_among_themselves_is_not_listed() {
        let (presence, (room, ann)) = (Presence::default(), names());
        for channel in [&room, &Channel::reserved("mqtt/share/g/a")] {
            presence.join(channel, &ann, &MemberOwner::default());
        }
        assert_eq!(presence.channels(), std::slice::from_ref(&room));
        assert_eq!(presence.channels_of(&ann), [room]);
    }

    #[test]
    fn a_client_without_connections_times_out() {
        let (presence, (room, ann)) = (Presence::default(), names());
        assert!(touch(&presence, &room, &ann, lease(20)).is_new);
        assert!(!touch(&presence, &room, &ann, lease(30)).is_new);
        let now = Instant::now();
        assert!(expired(&presence, now + Duration::from_secs(25)).is_empty());
        assert_eq!(
            expired(&presence, now + Duration::from_secs(31)),
            [(room.clone(), ann)]
        );
        assert_eq!(presence.occupancy(&room), 0);
    }

    #[test]
    fn a_sign_of_life_brings_nobody_back() {
        let (presence, (room, ann)) = (Presence::default(), names());
        presence.release(&room, &ann);
        assert_eq!(presence.channels(), []);
        assert!(touch(&presence, &room, &ann, held(20)).is_held);
        assert_eq!(presence.channels_of(&ann), std::slice::from_ref(&room));
        assert!(presence.end_signs(&room, &ann));
        presence.release(&room, &ann);
        assert_eq!(presence.channels_of(&ann), []);
        assert_eq!(presence.channels(), []);
    }

    #[test]
    fn a_shorter_time_counts_at_once() {
        let (presence, (room, ann)) = (Presence::default(), names());
        touch(&presence, &room, &ann, lease(300));
        touch(&presence, &room, &ann, lease(2));
        let now = Instant::now();
        assert_eq!(
            expired(&presence, now + Duration::from_secs(4)),
            [(room.clone(), ann.clone())]
        );
        assert_eq!(expired(&presence, now + Duration::from_secs(400)), []);
    }

    #[test]
    fn a_sign_of_life_without_a_time_counts_as_the_one_before() {
        let (presence, (room, ann)) = (Presence::default(), names());
        let as_before = Lease {
            timeout: None,
            otherwise: Duration::from_secs(10),
            is_held: false,
        };
        for (sign, counts) in [(as_before, 10), (lease(20), 20), (as_before, 20)] {
            touch(&presence, &room, &ann, sign);
            let now = Instant::now();
            assert!(expired(&presence, now + Duration::from_secs(counts - 1)).is_empty());
        }
        let later = Instant::now() + Duration::from_secs(21);
        assert_eq!(expired(&presence, later), [(room, ann)]);
    }

    #[test]
    fn signs_of_life_end_with_what_they_rest_on() {
        let (presence, (room, ann)) = (Presence::default(), names());
        let bob = ClientId::new("bob").unwrap();
        let shown = |credential| Identity {
            credential: Some(CredentialId::new(credential)),
            ..Identity::unrestricted()
        };
        for (client, credential) in [(&ann, "t1"), (&bob, "t2")] {
            touch(&presence, &room, client, held(300));
            presence.rests_on(&room, client, &shown(credential));
        }
        let end = || presence.end_leases(|rests_on| *rests_on == shown("t1").without_rights());
        end().for_each(drop);
        let soon = Instant::now() + Duration::from_secs(2);
        assert_eq!(
            expired(&presence, soon),
            [],
            "a request of hers is under way"
        );
        presence.release(&room, &ann);
        let soon = Instant::now() + Duration::from_secs(2);
        assert_eq!(expired(&presence, soon), [(room.clone(), ann.clone())]);
        // The next one counts as if there had been none.
        let lease = Lease {
            timeout: None,
            ..lease(10)
        };
        touch(&presence, &room, &ann, lease);
        presence.rests_on(&room, &ann, &shown("t3"));
        let soon = Instant::now() + Duration::from_secs(2);
        assert_eq!(expired(&presence, soon), []);
        assert_eq!(presence.occupancy(&room), 2);
    }

    #[test]
    fn a_request_under_way_outlasts_the_time() {
        let (presence, (room, ann)) = (Presence::default(), names());
        touch(&presence, &room, &ann, lease(5));
        let (is_new, is_held, is_told) = (false, true, false);
        let touched = touch(&presence, &room, &ann, held(5));
        assert_eq!(
            touched,
            TouchOutcome {
                is_new,
                is_held,
                is_told
            }
        );
        let now = Instant::now();
        assert_eq!(expired(&presence, now + Duration::from_secs(7)), []);
        presence.release(&room, &ann);
        let later = Instant::now() + Duration::from_secs(7);
        assert_eq!(expired(&presence, later), [(room, ann)]);
    }
}
