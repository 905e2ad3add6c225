//! Presence: which clients are present on which channel, with their state.

mod change;
mod changes;
mod due;
mod member_slots;
mod merge;
mod owner;
mod present;

#[cfg(test)]
pub(crate) use self::change::ChangeKind;
pub use self::owner::{MemberOwner, Tenant};
pub(crate) use self::{
    change::PresenceChange,
    changes::{Changes, parts},
    merge::Membership,
};

use std::{
    collections::HashMap,
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
    present::{PresenceEntry, Present},
};
use crate::{
    channel::Channel,
    counters::{Counter, Counters},
    identity::{ClientId, Identity},
    limits::Limits,
    publication::JsonText,
};

/// Clients that are present on channels of all nodes, with their state.
///
/// A client is present while one of its connections is on the channel, or until the time-out of its last
/// sign of life, where its protocol has no connections. It is a plain table: whoever changes it announces
/// the change.
///
/// Nodes tell each other of their changes. What another node says comes a moment later, so that two nodes may
/// both find a client new that comes to both at once.
#[derive(Debug)]
pub struct Presence {
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
}

/// What became of a client whose time may be over.
enum Expiry {
    /// It is not: that is when to look again.
    Later(Instant),
    Gone,
}

impl Default for Presence {
    fn default() -> Self {
        let limits = Limits {
            members_max: usize::MAX,
            members_per_connection_max: usize::MAX,
            members_per_address_max: usize::MAX,
            ..Limits::default()
        };
        Self::new(&limits, &Counters::default(), None)
    }
}

impl Presence {
    /// An empty table. A newcomer above the bounds of the limits is not present; `changes` is told what other nodes
    /// should know.
    pub(crate) fn new(limits: &Limits, counters: &Counters, changes: Option<Arc<Changes>>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| PresenceShard::default()).collect(),
            hasher: RandomState::default(),
            due: Due::default(),
            members: AtomicUsize::new(0),
            members_max: limits.members_max,
            not_counted: counters.of("server", "not counted as present: limits.members_max"),
            slots: MemberSlots::new(limits, counters),
            changes,
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

    /// A connection of `client` joined. True when the client was not present before.
    pub fn join(&self, channel: &Channel, client: &ClientId, owner: &MemberOwner) -> bool {
        self.change(channel, client, owner, |entry| entry.connections += 1) == Some(true)
    }

    /// A connection of `client` left. True when the client is not present any more.
    pub fn leave(&self, channel: &Channel, client: &ClientId) -> bool {
        let mut channels = self.shard(channel).lock();
        let entry = channels
            .get_mut(channel)
            .and_then(|present| present.get_mut(client));
        let Some(entry) = entry.filter(|entry| entry.is_here()) else {
            return false;
        };
        entry.connections = entry.connections.saturating_sub(1);
        !entry.is_here() && self.end(&mut channels, channel, client)
    }

    /// A sign of life of a client without a connection: it is present until a time has passed without another.
    pub fn touch(
        &self,
        channel: &Channel,
        client: &ClientId,
        lease: Lease,
        owner: &MemberOwner,
    ) -> TouchOutcome {
        let now = Instant::now();
        let mut note = None;
        let changed = self.change(channel, client, owner, |entry| {
            let before = entry.life.as_ref().map(|life| life.timeout);
            // One that was ended says nothing of the next.
            let before = before.filter(|timeout| !timeout.is_zero());
            let timeout = lease.timeout.or(before).unwrap_or(lease.otherwise);
            note = entry.touch(now, timeout);
            entry.connections += usize::from(lease.is_held);
        });
        self.note(note, channel, client);
        TouchOutcome {
            is_new: changed == Some(true),
            is_held: lease.is_held && changed.is_some(),
        }
    }

    /// A request that was [held](Lease::is_held) is over, which is a sign of life. It brings nobody back who left
    /// meanwhile.
    pub fn release(&self, channel: &Channel, client: &ClientId) {
        let now = Instant::now();
        let note = self.with(channel, client, |entry| {
            entry.connections = entry.connections.saturating_sub(1);
            let timeout = entry.life.as_ref().map(|life| life.timeout);
            timeout.and_then(|timeout| entry.touch(now, timeout))
        });
        self.note(note.flatten(), channel, client);
    }

    /// Notes that a credential of whoever is here proves it to be this client.
    pub(crate) fn prove(&self, channel: &Channel, client: &ClientId) {
        self.with(channel, client, |entry| {
            if !std::mem::replace(&mut entry.proven_here, true) {
                let state = entry.state.as_deref();
                self.note_change(|| PresenceChange::here(channel, client, state).proven(true));
            }
        });
    }

    /// True when a credential has proven who a present client is.
    pub(crate) fn is_proven(&self, channel: &Channel, client: &ClientId) -> bool {
        let proven = |entry: &mut PresenceEntry| entry.proven_here || entry.proven_elsewhere;
        self.with(channel, client, proven).unwrap_or_default()
    }

    /// Notes what a sign of life rests on: it [ends](Self::end_leases) with that.
    pub(crate) fn rests_on(&self, channel: &Channel, client: &ClientId, identity: &Identity) {
        if identity.client.as_ref() == Some(client) {
            self.prove(channel, client);
        }
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

    /// Removes a client from all nodes, however many connections it has. True when it was present.
    pub fn remove(&self, channel: &Channel, client: &ClientId) -> bool {
        let mut channels = self.shard(channel).lock();
        let removed = self.take_out(&mut channels, channel, client);
        if removed {
            self.note_change(|| PresenceChange::left(channel, client));
        }
        removed
    }

    /// Sets the state of a present client. False when it is not present.
    pub fn set_state(&self, channel: &Channel, client: &ClientId, state: Option<JsonText>) -> bool {
        let set = self.with(channel, client, |entry| {
            self.note_change(|| PresenceChange::state(channel, client, state.as_ref()));
            entry.state = state.map(Box::new);
        });
        set.is_some()
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

    /// Removes clients whose time is over, and says which. It looks only at those whose time may be over.
    pub fn expire(&self, now: Instant) -> Vec<(Channel, ClientId)> {
        let mut gone = Vec::new();
        for (channel, client) in self.due.take(now) {
            match self.expire_one(&channel, &client, now) {
                Some(Expiry::Later(end)) => self.due.note(end, channel, client),
                Some(Expiry::Gone) => gone.push((channel, client)),
                None => {}
            }
        }
        gone
    }

    fn expire_one(&self, channel: &Channel, client: &ClientId, now: Instant) -> Option<Expiry> {
        let mut channels = self.shard(channel).lock();
        let present = channels.get_mut(channel)?;
        let entry = present.get_mut(client)?;
        let life = entry.life.as_mut()?;
        life.noted = false;
        let end = life.expires_at?;
        if end > now {
            life.noted = true;
            return Some(Expiry::Later(end));
        }
        life.expires_at = None;
        if entry.is_here() {
            return None;
        }
        let is_gone = self.end(&mut channels, channel, client);
        is_gone.then_some(Expiry::Gone)
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

    /// Makes somebody present on this node. True when the client was not present anywhere; `None` when there is no
    /// room.
    fn change(
        &self,
        channel: &Channel,
        client: &ClientId,
        owner: &MemberOwner,
        change: impl FnOnce(&mut PresenceEntry),
    ) -> Option<bool> {
        let mut channels = self.shard(channel).lock();
        let (entry, is_new) = self.entry(&mut channels, channel, client, Some(owner))?;
        let was_here = entry.is_here();
        change(entry);
        entry.gave_way = false;
        if !was_here {
            let state = entry.state.as_deref();
            self.note_change(|| PresenceChange::here(channel, client, state));
        }
        Some(is_new)
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

    /// A client is not on this node any more. True when it is on no other either, and so not present.
    fn end(&self, channels: &mut Channels, channel: &Channel, client: &ClientId) -> bool {
        let entry = channels
            .get_mut(channel)
            .and_then(|present| present.get_mut(client));
        let is_last = match entry {
            Some(entry) if !entry.elsewhere.is_empty() => {
                entry.gave_way = true;
                entry.proven_here = false;
                entry.slot = None;
                false
            }
            _ => self.take_out(channels, channel, client),
        };
        self.note_change(|| PresenceChange::gone(channel, client, is_last));
        is_last
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
        assert!(
            presence
                .touch(&room, &ann, lease(20), &MemberOwner::default())
                .is_new
        );
        assert!(
            !presence
                .touch(&room, &ann, lease(30), &MemberOwner::default())
                .is_new
        );
        let now = Instant::now();
        assert!(presence.expire(now + Duration::from_secs(25)).is_empty());
        assert_eq!(
            presence.expire(now + Duration::from_secs(31)),
            [(room.clone(), ann)]
        );
        assert_eq!(presence.occupancy(&room), 0);
    }

    #[test]
    fn a_sign_of_life_brings_nobody_back() {
        let (presence, (room, ann)) = (Presence::default(), names());
        presence.release(&room, &ann);
        assert_eq!(presence.channels(), []);
        assert!(
            presence
                .touch(&room, &ann, held(20), &MemberOwner::default())
                .is_held
        );
        assert_eq!(presence.channels_of(&ann), std::slice::from_ref(&room));
        assert!(presence.remove(&room, &ann));
        presence.release(&room, &ann);
        assert_eq!(presence.channels_of(&ann), []);
        assert_eq!(presence.channels(), []);
    }

    #[test]
    fn a_shorter_time_counts_at_once() {
        let (presence, (room, ann)) = (Presence::default(), names());
        presence.touch(&room, &ann, lease(300), &MemberOwner::default());
        presence.touch(&room, &ann, lease(2), &MemberOwner::default());
        let now = Instant::now();
        assert_eq!(
            presence.expire(now + Duration::from_secs(4)),
            [(room.clone(), ann.clone())]
        );
        assert_eq!(presence.expire(now + Duration::from_secs(400)), []);
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
            presence.touch(&room, &ann, sign, &MemberOwner::default());
            let now = Instant::now();
            assert!(
                presence
                    .expire(now + Duration::from_secs(counts - 1))
                    .is_empty()
            );
        }
        let later = Instant::now() + Duration::from_secs(21);
        assert_eq!(presence.expire(later), [(room, ann)]);
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
            presence.touch(&room, client, held(300), &MemberOwner::default());
            presence.rests_on(&room, client, &shown(credential));
        }
        let end = || presence.end_leases(|rests_on| *rests_on == shown("t1").without_rights());
        end().for_each(drop);
        let soon = Instant::now() + Duration::from_secs(2);
        assert_eq!(presence.expire(soon), [], "a request of hers is under way");
        presence.release(&room, &ann);
        let soon = Instant::now() + Duration::from_secs(2);
        assert_eq!(presence.expire(soon), [(room.clone(), ann.clone())]);
        // The next one counts as if there had been none.
        let lease = Lease {
            timeout: None,
            ..lease(10)
        };
        presence.touch(&room, &ann, lease, &MemberOwner::default());
        presence.rests_on(&room, &ann, &shown("t3"));
        let soon = Instant::now() + Duration::from_secs(2);
        assert_eq!(presence.expire(soon), []);
        assert_eq!(presence.occupancy(&room), 2);
    }

    #[test]
    fn a_request_under_way_outlasts_the_time() {
        let (presence, (room, ann)) = (Presence::default(), names());
        presence.touch(&room, &ann, lease(5), &MemberOwner::default());
        let (is_new, is_held) = (false, true);
        let touched = presence.touch(&room, &ann, held(5), &MemberOwner::default());
        assert_eq!(touched, TouchOutcome { is_new, is_held });
        let now = Instant::now();
        assert_eq!(presence.expire(now + Duration::from_secs(7)), []);
        presence.release(&room, &ann);
        let later = Instant::now() + Duration::from_secs(7);
        assert_eq!(presence.expire(later), [(room, ann)]);
    }
}
