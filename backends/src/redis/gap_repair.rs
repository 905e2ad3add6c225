//! Gap repair: what a node missed on a channel is read, and delivered before what follows.
//!
//! Each publication names the one before it on its channel, by its timetoken: its *predecessor*, in whatever epoch. The node keeps the last
//! one that it has seen of each channel, the *head*, and so sees that something is missing:
//!
//! 1. when a publication comes whose predecessor is not the head;
//! 2. when the places in Redis are compared with the heads: on a new connection at once, and a third of them with each
//!    heartbeat;
//! 3. when Redis lists a channel that was silent for a minute, and nothing came: for wildcard subscribers, who do not
//!    know the names of their channels.
//!
//! Then what Redis keeps of the channel after the head is read: the *window* of the last minute that each channel has, and
//! the stream where messages are kept. Once for each channel, however many notice; what comes meanwhile is held, within
//! a bound, and delivered after it. Where the chain does not close, because Redis has forgotten, or may have, the
//! subscribers are told of a gap before they get what follows.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
};

use polywire_core::{Interest, Pattern, Publication, Target, Timetoken};

use super::{
    envelope::{Announced, PublishId},
    missing::{Missing, Place},
};

/// Bytes that are held for all channels together while what is missing is read.
const HELD_BYTES_MAX: usize = 64 << 20;
/// What a publication costs besides what it says.
const OVERHEAD: usize = 512;
/// Reads of one channel that do not find what is missing.
const READS_MAX: u32 = 3;
/// Timetokens in a second.
const SECOND: u64 = 10_000_000;
/// A channel that is known by a pattern alone is known for so long after its last publication: longer than it takes Redis
/// to list it as new again, which is a minute.
const KNOWN_FOR: u64 = 120 * SECOND;
/// A place that is gone is that of a channel that was silent for a day, or Redis has lost it.
const SILENT: u64 = 23 * 60 * 60 * SECOND;

/// Where publications and gaps go, in the order of each channel.
pub(super) trait Deliver {
    /// The next publication of its channel.
    fn deliver(&mut self, id: PublishId, publication: &Publication);
    /// Publications are missing here, or may be, and cannot be read.
    fn gap(&mut self, interest: &Interest);
}

/// The heads of all channels of the node.
#[derive(Debug, Default)]
pub(super) struct Heads {
    heads: HashMap<Target, Head>,
    /// What is owed to the subscribers of each pattern: everything later than this.
    patterns: HashMap<Pattern, Timetoken>,
    /// To be read next.
    unread: VecDeque<Target>,
    held_bytes: usize,
    /// To be compared next.
    uncompared: Vec<Target>,
    /// The run of the server.
    run: String,
    /// Since when it is that run: what was published before may be forgotten.
    run_since: Timetoken,
}

#[derive(Debug)]
struct Head {
    /// The last publication, or a time up to which nothing is owed.
    last: Timetoken,
    /// The latest that was delivered, whatever the server has forgotten since.
    delivered: Timetoken,
    next: Next,
    /// The subscribers were told that something may be missing before whatever comes next.
    is_told: bool,
    repair: Option<Box<Repair>>,
}

/// What comes next on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The successor of the head.
    Successor,
    /// The first that is later than the head.
    Later,
}

/// A read that waits or is under way.
#[derive(Debug, Default)]
struct Repair {
    held: VecDeque<Announced>,
    /// More came than may be held: it is read too.
    is_overflown: bool,
    reads: u32,
}

impl Head {
    fn new(place: Option<&Place>) -> Self {
        match place {
            Some(place) => Self {
                last: place.last,
                delivered: place.last,
                next: Next::Successor,
                is_told: false,
                repair: None,
            },
            None => Self::later_than(Timetoken(0)),
        }
    }

    fn later_than(last: Timetoken) -> Self {
        Self {
            last,
            delivered: Timetoken(0),
            next: Next::Later,
            is_told: false,
            repair: None,
        }
    }

    /// True when nothing is missing before a publication.
    fn precedes(&self, announced: &Announced) -> bool {
        let Some(previous) = announced.previous else {
            return true;
        };
        let at = announced.publication.position().timetoken;
        match self.next {
            Next::Successor if previous == Timetoken(0) => is_older(self.last, at, SILENT),
            // An older one than the head is that of a replica that became the master, and does not have the head.
            Next::Successor | Next::Later => previous <= self.last,
        }
    }

    /// Has what is missing read, unless that is under way.
    fn begin_repair(&mut self, target: &Target, unread: &mut VecDeque<Target>) {
        if self.repair.is_none() {
            self.repair = Some(Box::default());
            unread.push_back(target.clone());
        }
    }

    fn advance(&mut self, announced: &Announced) {
        let place = announced.publication.position();
        self.delivered = self.delivered.max(place.timetoken);
        (self.last, self.next) = (place.timetoken, Next::Successor);
        self.is_told = false;
    }
}

fn is_older(than: Timetoken, now: Timetoken, by: u64) -> bool {
    now.0.saturating_sub(than.0) > by
}

fn cost(announced: &Announced) -> usize {
    announced.publication.bytes() + OVERHEAD
}

impl Heads {
    /// Takes a publication that has come. `is_subscribed` says whether its channel is subscribed to by name.
    pub(super) fn take(
        &mut self,
        announced: Announced,
        is_subscribed: impl FnOnce() -> bool,
        to: &mut impl Deliver,
    ) {
        let Announced {
            id, publication, ..
        } = &announced;
        let target = &publication.target;
        if !self.heads.contains_key(target) {
            let since = self.owed_since(target);
            if since.is_none() && !is_subscribed() {
                // On its way when the subscription ended.
                return to.deliver(*id, publication);
            }
            let head = Head::later_than(since.unwrap_or(Timetoken(u64::MAX)));
            self.heads.insert(target.clone(), head);
        }
        let Some(head) = self.heads.get_mut(target) else {
            return;
        };
        if publication.position().timetoken <= head.delivered {
            // A node that is subscribed by name and by pattern gets it several times; or it was read.
            return;
        }
        if head.repair.is_none() && head.precedes(&announced) {
            head.advance(&announced);
            return to.deliver(*id, publication);
        }
        head.begin_repair(target, &mut self.unread);
        let repair = head.repair.get_or_insert_default();
        let cost = cost(&announced);
        if repair.is_overflown || self.held_bytes + cost > HELD_BYTES_MAX {
            repair.is_overflown = true;
        } else {
            self.held_bytes += cost;
            repair.held.push_back(announced);
        }
    }

    /// Since when publications of a channel are owed to the subscribers of patterns; `None` where no pattern matches.
    fn owed_since(&self, target: &Target) -> Option<Timetoken> {
        let channel = target.channel()?;
        let matching = self
            .patterns
            .iter()
            .filter(|(pattern, _)| pattern.matches(channel.as_str()));
        matching.map(|(_, since)| *since).min()
    }

    /// What this node has seen last of a channel, to be compared with its place.
    pub(super) fn last(&self, target: &Target) -> Timetoken {
        self.heads
            .get(target)
            .map_or(Timetoken(0), |head| head.last)
    }

    /// True for a publication of this channel that was delivered here, or will be when the channel is repaired.
    pub(super) fn has(&self, target: &Target, timetoken: Timetoken) -> bool {
        self.last(target) >= timetoken
    }

    /// A channel is subscribed to by name and had this place then.
    pub(super) fn subscribed(&mut self, target: &Target, place: Option<&Place>) {
        if self.heads.contains_key(target) {
            return;
        }
        self.heads.insert(target.clone(), Head::new(place));
    }

    /// A channel is not subscribed to by name any more.
    pub(super) fn unsubscribed(&mut self, target: &Target) {
        if self.owed_since(target).is_none()
            && let Some(Head {
                repair: Some(repair),
                ..
            }) = self.heads.remove(target)
        {
            self.held_bytes -= repair.held.iter().map(cost).sum::<usize>();
        }
    }

    /// A pattern is subscribed to since this time.
    pub(super) fn pattern_subscribed(&mut self, pattern: &Pattern, since: Timetoken) {
        self.patterns.entry(pattern.clone()).or_insert(since);
    }

    /// A pattern is not subscribed to any more. Who subscribes to it again is owed nothing from before.
    pub(super) fn pattern_unsubscribed(
        &mut self,
        pattern: &Pattern,
        is_subscribed: impl Fn(&Target) -> bool,
    ) {
        if self.patterns.remove(pattern).is_none() {
            return;
        }
        let mut heads = mem::take(&mut self.heads);
        let is_kept = |target: &Target| is_subscribed(target) || self.owed_since(target).is_some();
        let mut freed = 0;
        heads.retain(|target, head| {
            let is_matched = target
                .channel()
                .is_some_and(|channel| pattern.matches(channel.as_str()));
            let is_kept = !is_matched || is_kept(target);
            if !is_kept && let Some(repair) = &head.repair {
                freed += repair.held.iter().map(cost).sum::<usize>();
            }
            is_kept
        });
        self.heads = heads;
        self.held_bytes -= freed;
    }

    /// The place of a channel differs from what this node has seen last, or the server may have forgotten some.
    pub(super) fn differs(&mut self, target: &Target, place: Option<&Place>) {
        let Some(head) = self.heads.get_mut(target) else {
            return;
        };
        let is_behind = match place {
            // What came meanwhile is newer than the comparison.
            Some(place) => place.last > head.last || place.run != self.run,
            None => head.last > Timetoken(0),
        };
        if is_behind {
            head.begin_repair(target, &mut self.unread);
        }
    }

    /// What this node has published on a channel does not come. False where nobody here is subscribed any more.
    pub(super) fn is_overdue(&mut self, target: &Target) -> bool {
        let Some(head) = self.heads.get_mut(target) else {
            return false;
        };
        head.begin_repair(target, &mut self.unread);
        true
    }

    /// A channel that was silent has a publication now; nothing has come where this node does not know it.
    pub(super) fn is_listed(&mut self, target: &Target, at: Timetoken) {
        if self.heads.contains_key(target) {
            return;
        }
        let Some(since) = self.owed_since(target).filter(|since| *since < at) else {
            return;
        };
        let mut head = Head::later_than(since);
        head.begin_repair(target, &mut self.unread);
        self.heads.insert(target.clone(), head);
    }

    /// Since when publications are owed to the subscribers of the oldest pattern.
    pub(super) fn patterns_since(&self) -> Option<Timetoken> {
        self.patterns.values().min().copied()
    }

    /// The next channel to be read, and after what.
    pub(super) fn next_unread(&mut self) -> Option<(Target, Timetoken)> {
        while let Some(target) = self.unread.pop_front() {
            if let Some(head) = self.heads.get(&target)
                && head.repair.is_some()
            {
                let last = head.last;
                return Some((target, last));
            }
        }
        None
    }

    /// What Redis keeps of a channel after its head was read.
    pub(super) fn read(
        &mut self,
        target: &Target,
        missing: Missing,
        now: Timetoken,
        to: &mut impl Deliver,
    ) {
        let Some(head) = self.heads.get_mut(target) else {
            return;
        };
        let Some(mut repair) = head.repair.take() else {
            return;
        };
        let mut entries = missing.entries;
        if !missing.has_more {
            // What was read goes up to the place, and what is held may go back behind it.
            let last = missing.place.as_ref().map(|place| place.last);
            while let Some(held) = repair.held.front()
                && last.is_some_and(|last| held.publication.position().timetoken <= last)
            {
                self.held_bytes -= cost(held);
                entries.extend(repair.held.pop_front());
            }
            let at = |announced: &Announced| announced.publication.position().timetoken;
            entries.sort_by_key(at);
        }
        for announced in &entries {
            if announced.publication.position().timetoken <= head.delivered {
                continue;
            }
            if !head.precedes(announced) && !head.is_told {
                to.gap(&target.clone().into());
            }
            // What goes on is not given up.
            repair.reads = 0;
            head.advance(announced);
            to.deliver(announced.id, &announced.publication);
        }
        if missing.has_more {
            head.repair = Some(repair);
            self.unread.push_back(target.clone());
            return;
        }
        let is_whole = head.meet(missing.place.as_ref(), self.run_since, now);
        if !is_whole {
            to.gap(&target.clone().into());
        }
        while let Some(announced) = repair.held.pop_front() {
            self.held_bytes -= cost(&announced);
            let place = announced.publication.position();
            if place.timetoken <= head.delivered {
                continue;
            }
            if !head.precedes(&announced) {
                if repair.reads < READS_MAX {
                    repair.reads += 1;
                    self.held_bytes += cost(&announced);
                    repair.held.push_front(announced);
                    head.repair = Some(repair);
                    self.unread.push_back(target.clone());
                    return;
                }
                to.gap(&target.clone().into());
            }
            head.advance(&announced);
            to.deliver(announced.id, &announced.publication);
        }
        if mem::take(&mut repair.is_overflown) {
            head.repair = Some(repair);
            self.unread.push_back(target.clone());
        }
    }

    /// Channels to be compared next; `count` at most. `is_subscribed` says which are subscribed to by name: others are
    /// forgotten when they were silent for long.
    pub(super) fn next_uncompared(
        &mut self,
        count: usize,
        now: Timetoken,
        is_subscribed: impl Fn(&Target) -> bool,
    ) -> Vec<(Target, Timetoken)> {
        if self.uncompared.is_empty() {
            let patterns = &self.patterns;
            self.heads.retain(|target, head| {
                let is_known = || {
                    let is_matched = target.channel().is_some_and(|channel| {
                        let mut patterns = patterns.keys();
                        patterns.any(|pattern| pattern.matches(channel.as_str()))
                    });
                    is_matched && !is_older(head.last, now, KNOWN_FOR)
                };
                head.repair.is_some() || is_subscribed(target) || is_known()
            });
            self.uncompared.extend(self.heads.keys().cloned());
        }
        let rest = self.uncompared.len().saturating_sub(count);
        let next = self.uncompared.split_off(rest);
        let known = next.into_iter().filter_map(|target| {
            let head = self.heads.get(&target)?;
            let last = head.last;
            head.repair.is_none().then_some((target, last))
        });
        known.collect()
    }

    /// Channels that are known.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// The connection is lost. What is held comes again: it is read.
    pub(super) fn lose(&mut self) {
        for head in self.heads.values_mut() {
            head.repair = None;
        }
        self.unread.clear();
        self.held_bytes = 0;
    }

    /// The run of the server.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// A new connection, to a server with this id of its run: what is subscribed to by these names and patterns is owed, and
    /// nothing else. Another run may have forgotten what was published last, wherever that was, of which the subscribers
    /// are told. Gives the channels that are known by patterns alone, to be compared.
    pub(super) fn begin(
        &mut self,
        run: &str,
        now: Timetoken,
        targets: &HashSet<Target>,
        patterns: &HashSet<Pattern>,
        to: &mut impl Deliver,
    ) -> Vec<(Target, Timetoken)> {
        self.patterns
            .retain(|pattern, _| patterns.contains(pattern));
        let mut heads = mem::take(&mut self.heads);
        heads.retain(|target, _| targets.contains(target) || self.owed_since(target).is_some());
        self.heads = heads;
        self.uncompared.clear();
        if self.run != run {
            run.clone_into(&mut self.run);
            self.run_since = now;
            for pattern in self.patterns.keys() {
                to.gap(&pattern.into());
            }
            for (target, head) in &mut self.heads {
                head.is_told = true;
                if targets.contains(target) {
                    to.gap(&target.clone().into());
                }
            }
        }
        let known = self.heads.iter();
        let by_pattern = known.filter(|(target, _)| !targets.contains(target));
        by_pattern
            .map(|(target, head)| (target.clone(), head.last))
            .collect()
    }

    /// A publication of this node has its place and did not come before the connection was lost. True when it is the next
    /// of its channel, so that it may be delivered from memory.
    pub(super) fn follows(&mut self, announced: &Announced) -> bool {
        match self.heads.get_mut(&announced.publication.target) {
            Some(head) => {
                let is_later = announced.publication.position().timetoken > head.delivered;
                let follows = is_later && head.repair.is_none() && head.precedes(announced);
                if follows {
                    head.advance(announced);
                }
                follows
            }
            // Nobody here is subscribed by name; who is by a pattern gets it in its place.
            None => self.owed_since(&announced.publication.target).is_none(),
        }
    }
}

impl Head {
    /// Everything that Redis keeps was read; this is the place. False when something is missing, or may be, of which the
    /// subscribers were not told.
    fn meet(&mut self, place: Option<&Place>, run_since: Timetoken, now: Timetoken) -> bool {
        let is_told = self.is_told;
        let is_whole = match place {
            None => {
                let is_silent = self.last > run_since && is_older(self.last, now, SILENT);
                self.last == Timetoken(0) || is_silent
            }
            Some(place) => self.last >= place.last,
        };
        let delivered = self.delivered;
        *self = Self::new(place);
        // What the server has forgotten, and may find again, does not come again.
        self.delivered = self.delivered.max(delivered);
        is_whole || is_told
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, Draft, Epoch, NodeId, Payload, Position, Seq};

    use super::*;

    const RUN: &str = "run";
    const NOW: Timetoken = Timetoken(1_000_000 * SECOND);

    /// What a subscriber sees: numbers of publications, and 0 for a gap.
    #[derive(Default)]
    struct Seen(Vec<u64>);

    impl Deliver for Seen {
        fn deliver(&mut self, _: PublishId, publication: &Publication) {
            self.0.push(publication.position().timetoken.0);
        }

        fn gap(&mut self, _: &Interest) {
            self.0.push(0);
        }
    }

    fn room() -> Target {
        Channel::new("room").unwrap().into()
    }

    fn announced(epoch: u64, timetoken: u64, previous: u64) -> Announced {
        let id = PublishId {
            node: NodeId(1),
            number: timetoken,
        };
        let place = Position {
            epoch: Epoch(epoch),
            seq: Seq(timetoken),
            timetoken: Timetoken(timetoken),
        };
        Announced {
            id,
            publication: Draft::new(room(), Payload::text("x")).at(place),
            previous: Some(Timetoken(previous)),
        }
    }

    fn place(epoch: u64, last: u64, run: &str) -> Place {
        Place {
            epoch: Epoch(epoch),
            run: run.to_owned(),
            last: Timetoken(last),
        }
    }

    /// A subscriber of one channel, of which nothing was published yet.
    struct Subscriber {
        heads: Heads,
        seen: Seen,
        now: Timetoken,
    }

    impl Default for Subscriber {
        fn default() -> Self {
            let mut heads = Heads::default();
            let nothing = (&HashSet::new(), &HashSet::new());
            heads.begin(
                RUN,
                Timetoken(0),
                nothing.0,
                nothing.1,
                &mut Seen::default(),
            );
            Self {
                heads,
                seen: Seen::default(),
                now: Timetoken(100),
            }
        }
    }

    impl Subscriber {
        fn new() -> Self {
            let mut subscriber = Self::default();
            subscriber.heads.subscribed(&room(), None);
            subscriber
        }

        fn reconnect(&mut self, run: &str, at: u64) {
            self.heads.lose();
            let (targets, at) = (HashSet::from([room()]), Timetoken(at));
            let patterns = HashSet::new();
            self.heads
                .begin(run, at, &targets, &patterns, &mut self.seen);
        }

        fn take(&mut self, epoch: u64, timetoken: u64, previous: u64) -> &mut Self {
            let announced = announced(epoch, timetoken, previous);
            self.heads.take(announced, || true, &mut self.seen);
            self
        }

        fn read(&mut self, entries: &[(u64, u64, u64)], place: Option<Place>) -> &mut Self {
            assert!(self.heads.next_unread().is_some(), "nothing is to be read");
            let entries = entries.iter();
            let entries = entries
                .map(|(epoch, timetoken, previous)| announced(*epoch, *timetoken, *previous));
            let missing = Missing {
                entries: entries.collect(),
                has_more: false,
                place,
            };
            self.heads.read(&room(), missing, self.now, &mut self.seen);
            self
        }

        fn saw(&self, seen: &[u64]) {
            assert_eq!(self.seen.0, seen);
            assert_eq!(self.heads.held_bytes, 0);
            assert!(self.heads.unread.is_empty());
        }
    }

    #[test]
    fn what_comes_in_order_is_delivered_and_comes_once() {
        let mut subscriber = Subscriber::new();
        subscriber
            .take(5, 11, 0)
            .take(5, 12, 11)
            .take(5, 12, 11)
            .take(5, 11, 0);
        subscriber.take(5, 13, 12).saw(&[11, 12, 13]);
    }

    #[test]
    fn what_is_missing_is_read_once_and_comes_before_what_follows() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0).take(5, 14, 13).take(5, 15, 14);
        assert_eq!(subscriber.seen.0, [11]);
        assert_eq!(subscriber.heads.unread.len(), 1);
        let entries = [(5, 12, 11), (5, 13, 12), (5, 14, 13)];
        subscriber.read(&entries, Some(place(5, 14, RUN)));
        subscriber.take(5, 16, 15).saw(&[11, 12, 13, 14, 15, 16]);
    }

    #[test]
    fn a_second_hole_behind_the_first_is_read_too() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0).take(5, 13, 12).take(5, 15, 14);
        subscriber.read(&[(5, 12, 11), (5, 13, 12)], Some(place(5, 13, RUN)));
        assert_eq!(subscriber.seen.0, [11, 12, 13]);
        subscriber.read(&[(5, 14, 13), (5, 15, 14)], Some(place(5, 15, RUN)));
        subscriber.saw(&[11, 12, 13, 14, 15]);
    }

    #[test]
    fn what_redis_has_forgotten_is_a_gap_before_what_follows() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0).take(5, 15, 14);
        subscriber.read(&[(5, 14, 13), (5, 15, 14)], Some(place(5, 15, RUN)));
        subscriber.take(5, 16, 15).saw(&[11, 0, 14, 15, 16]);
        // Nothing at all is left of it.
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0).take(5, 15, 14);
        for _ in 0..=READS_MAX {
            subscriber.read(&[], Some(place(5, 11, RUN)));
        }
        subscriber.saw(&[11, 0, 15]);
    }

    #[test]
    fn a_link_that_goes_on_losing_is_read_for_as_long_as_that_helps() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0);
        let holes = 3 * u64::from(READS_MAX);
        for hole in 0..holes {
            let at = 12 + 2 * hole;
            subscriber.take(5, at + 1, at);
        }
        let mut expected = vec![11];
        for hole in 0..holes {
            let at = 12 + 2 * hole;
            subscriber.read(&[(5, at, at - 1)], Some(place(5, at, RUN)));
            expected.extend([at, at + 1]);
        }
        subscriber.saw(&expected);
    }

    /// What it has not was not acknowledged.
    #[test]
    fn a_replica_that_becomes_the_master_has_less_and_is_gone_on_with() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0).take(5, 12, 11);
        subscriber.heads.lose();
        subscriber.heads.differs(&room(), Some(&place(5, 11, RUN)));
        subscriber
            .take(5, 13, 11)
            .take(5, 14, 13)
            .saw(&[11, 12, 13, 14]);
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0).take(5, 12, 11).take(5, 14, 13);
        subscriber.read(&[(5, 13, 11), (5, 14, 13)], Some(place(5, 14, RUN)));
        subscriber.saw(&[11, 12, 13, 14]);
    }

    #[test]
    fn the_last_of_a_channel_is_missed_when_places_are_compared() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0);
        let known = subscriber
            .heads
            .next_uncompared(10, Timetoken(100), |_| true);
        assert_eq!(known, [(room(), Timetoken(11))]);
        // It came while they were compared.
        subscriber.take(5, 12, 11);
        subscriber.heads.differs(&room(), Some(&place(5, 12, RUN)));
        subscriber.saw(&[11, 12]);
        subscriber.heads.differs(&room(), Some(&place(5, 13, RUN)));
        subscriber.read(&[(5, 13, 12)], Some(place(5, 13, RUN)));
        subscriber.saw(&[11, 12, 13]);
    }

    #[test]
    fn another_run_of_the_server_may_have_forgotten_something() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0);
        subscriber.reconnect("another", 12);
        assert_eq!(subscriber.seen.0, [11, 0]);
        // It has one more of the earlier run, and perhaps had others.
        subscriber.heads.differs(&room(), Some(&place(5, 12, RUN)));
        subscriber.read(&[(5, 12, 11)], Some(place(5, 12, RUN)));
        assert_eq!(subscriber.seen.0, [11, 0, 12]);
        // Told once.
        subscriber.take(20, 20, 12).take(20, 21, 20);
        subscriber.saw(&[11, 0, 12, 20, 21]);
        // What is missed of the new epoch is missed.
        let mut subscriber = Subscriber::new();
        subscriber.reconnect("another", 12);
        subscriber.take(20, 21, 20);
        subscriber.read(&[(20, 20, 0)], Some(place(20, 21, "another")));
        subscriber.saw(&[0, 20, 21]);
    }

    #[test]
    fn a_server_that_was_emptied_is_a_gap_and_told_once() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0);
        subscriber.heads.differs(&room(), None);
        subscriber.read(&[], None);
        subscriber.heads.differs(&room(), None);
        subscriber.take(20, 20, 0).saw(&[11, 0, 20]);
    }

    #[test]
    fn a_channel_that_was_silent_for_a_day_has_no_gap() {
        let mut subscriber = Subscriber::new();
        let (first, later) = (NOW.0 - SILENT - 1, NOW.0);
        subscriber
            .take(5, first, 0)
            .take(6, later, 0)
            .saw(&[first, later]);
        let mut subscriber = Subscriber::new();
        subscriber.now = NOW;
        subscriber.take(5, first, 0);
        subscriber.heads.differs(&room(), None);
        subscriber
            .read(&[], None)
            .take(6, later, 0)
            .saw(&[first, later]);
        // But in another run it may have had some that this node missed.
        let mut subscriber = Subscriber::new();
        subscriber.now = NOW;
        subscriber.take(5, first, 0);
        subscriber.reconnect("another", first + 1);
        subscriber.heads.differs(&room(), None);
        subscriber.read(&[], None).saw(&[first, 0]);
    }

    #[test]
    fn more_than_may_be_held_is_read() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0);
        subscriber.heads.held_bytes = HELD_BYTES_MAX;
        subscriber.take(5, 13, 12).take(5, 14, 13);
        assert_eq!(subscriber.heads.held_bytes, HELD_BYTES_MAX);
        subscriber.heads.held_bytes = 0;
        subscriber.read(&[(5, 12, 11), (5, 13, 12)], Some(place(5, 13, RUN)));
        subscriber.read(&[(5, 14, 13)], Some(place(5, 14, RUN)));
        subscriber.saw(&[11, 12, 13, 14]);
    }

    #[test]
    fn a_subscriber_of_a_pattern_misses_nothing_of_channels_that_it_does_not_know() {
        let mut subscriber = Subscriber::default();
        let all = Pattern::mqtt("#").unwrap();
        let take = |subscriber: &mut Subscriber, announced| {
            subscriber
                .heads
                .take(announced, || false, &mut subscriber.seen);
        };
        // Before the subscription was confirmed nothing is owed.
        take(&mut subscriber, announced(5, 9, 8));
        subscriber.heads.pattern_subscribed(&all, Timetoken(10));
        take(&mut subscriber, announced(5, 12, 9));
        assert_eq!(subscriber.seen.0, [9, 12]);
        // Of another channel the first was missed, and nothing follows.
        let mut other = Subscriber::default();
        other.heads.pattern_subscribed(&all, Timetoken(10));
        other.heads.is_listed(&room(), Timetoken(9));
        assert_eq!(other.heads.next_unread(), None);
        other.heads.is_listed(&room(), Timetoken(11));
        other.read(&[(5, 11, 0)], Some(place(5, 11, RUN)));
        other.heads.is_listed(&room(), Timetoken(11));
        other.saw(&[11]);
        // It is forgotten when it was silent, unless somebody subscribes to it by name.
        let later = Timetoken(11 + KNOWN_FOR + 1);
        assert_eq!(other.heads.next_uncompared(10, later, |_| true).len(), 1);
        assert_eq!(other.heads.next_uncompared(10, later, |_| false).len(), 0);
        assert_eq!(other.heads.len(), 0);
    }

    #[test]
    fn who_subscribes_again_is_owed_nothing_from_before() {
        let mut subscriber = Subscriber::new();
        subscriber.take(5, 11, 0).take(5, 13, 12);
        subscriber.heads.unsubscribed(&room());
        assert_eq!(subscriber.heads.held_bytes, 0);
        subscriber
            .heads
            .subscribed(&room(), Some(&place(5, 20, RUN)));
        assert_eq!(subscriber.heads.next_unread(), None);
        subscriber.take(5, 21, 20).saw(&[11, 21]);
    }
}
