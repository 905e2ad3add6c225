//! The table of streams, one for each channel: what was kept of it, and who waits at it. It stands under the lock of
//! [`Streams`](super::Streams).

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use foldhash::fast::RandomState;
use polywire_core::{Channel, Draw, Held, Kind, PresenceSummary, Publication};

use super::{
    arrival::{Arrival, Arrivals},
    batch::{Batch, Gap, GapScope},
    bounds::{Bounds, MESSAGES_MAX},
    entry::{self, Entry},
    groups::Groups,
    intervals,
    waiter::{Waiter, Waiters},
};
use crate::{
    names::{PRESENCE, above},
    subscribe_set::{Location, SubscribeSet},
};

/// Entries that a read has in its hands before it leaves out those that are for the next answer.
const FOUND_MAX: usize = 8 * MESSAGES_MAX;

/// Everything that was published for a while, by channel.
pub(super) struct StreamTable {
    bounds: Bounds,
    /// The greatest order that was given.
    horizon: u64,
    /// The greatest order of what was forgotten for its age or for want of space.
    forgotten: u64,
    bytes: usize,
    /// The same of the memory budget.
    draw: Draw,
    streams: HashMap<Channel, Stream, RandomState>,
    /// Channels by what stands above their last level, for wildcards.
    levels: HashMap<Arc<str>, Level, RandomState>,
    groups: Groups,
    arrivals: Arrivals,
    /// Channels whose comings and goings are being summed up.
    summed_up: HashSet<Channel, RandomState>,
    /// To be woken when the batch ends.
    woken: Vec<Arc<Waiter>>,
}

/// One channel.
#[derive(Default)]
struct Stream {
    /// Messages, and presence.
    lanes: [Lane; 2],
    /// Boxed: few have one.
    interval: Option<Box<PresenceSummary>>,
}

/// The messages of a channel, or its presence.
#[derive(Default)]
struct Lane {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    waiting: Waiters,
    /// The order of what was forgotten last.
    forgotten: u64,
    /// The same of what is not in history either.
    lost: u64,
}

/// The channels one level below a name.
#[derive(Default)]
struct Level {
    channels: BTreeSet<Channel>,
    waiting: [Waiters; 2],
}

impl Stream {
    fn is_unused(&self) -> bool {
        let unused = |lane: &Lane| lane.entries.is_empty() && lane.waiting.is_empty();
        self.interval.is_none() && self.lanes.iter().all(unused)
    }
}

impl Lane {
    fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.push_back(Arc::new(entry));
    }

    /// Forgets the oldest; returns its bytes.
    fn forget_oldest(&mut self, has_history: bool) -> Option<usize> {
        let oldest = self.entries.pop_front()?;
        self.forgotten = oldest.order;
        if !has_history || !oldest.is_stored() {
            self.lost = oldest.order;
        }
        let bytes = oldest.bytes();
        self.bytes -= bytes;
        Some(bytes)
    }

    /// What came after a cursor.
    fn after(&self, cursor: u64) -> impl Iterator<Item = &Arc<Entry>> {
        let first = self.entries.partition_point(|entry| entry.order <= cursor);
        // Whoever names the very timetoken of a late one knows it.
        let entries = self.entries.range(first..);
        entries.filter(move |entry| entry.timetoken != cursor)
    }
}

/// By order, and of the same one the name that comes first.
fn sort(found: &mut Vec<(Arc<Entry>, usize)>) {
    found.sort_unstable_by_key(|(entry, index)| (entry.order, *index));
    found.dedup_by_key(|(entry, _)| entry.order);
}

/// Keeps the oldest, one more than an answer holds, and says up to which order more may be among them.
fn keep_oldest(found: &mut Vec<(Arc<Entry>, usize)>) -> u64 {
    sort(found);
    found.truncate(MESSAGES_MAX + 1);
    match &found[..] {
        [.., (last, _)] if found.len() > MESSAGES_MAX => last.order,
        _ => u64::MAX,
    }
}

impl Level {
    fn is_unused(&self) -> bool {
        self.channels.is_empty() && self.waiting.iter().all(Waiters::is_empty)
    }
}

impl StreamTable {
    /// What was published before `began` was never here.
    pub(super) fn new(bounds: Bounds, began: u64) -> Self {
        Self {
            bounds,
            horizon: 0,
            forgotten: began,
            bytes: 0,
            draw: Draw::new(Held::Kept),
            streams: HashMap::default(),
            levels: HashMap::default(),
            groups: Groups::default(),
            arrivals: Arrivals::default(),
            summed_up: HashSet::default(),
            woken: Vec::new(),
        }
    }

    pub(super) fn horizon(&self) -> u64 {
        self.horizon
    }

    pub(super) fn take_woken(&mut self) -> Vec<Arc<Waiter>> {
        std::mem::take(&mut self.woken)
    }

    /// Takes a publication; true when somebody is to be woken. `late` gives a new time.
    pub(super) fn arrive(
        &mut self,
        channel: &Channel,
        publication: &Publication,
        late: impl FnOnce() -> Option<u64>,
    ) -> bool {
        let timetoken = publication.position().timetoken.0;
        let order = if timetoken > self.horizon {
            timetoken
        } else {
            late().unwrap_or_default().max(self.horizon + 1)
        };
        self.horizon = order;
        if publication.kind == Kind::Clear {
            return false;
        }
        if let Kind::Presence(event) = &publication.kind {
            if event.client.is_none() || entry::action(event.action).is_none() {
                return false;
            }
            if event.occupancy > self.bounds.announce_max {
                self.interval(channel).note(event);
                return false;
            }
        }
        if let Kind::PresenceSummary(summary) = &publication.kind {
            self.interval(channel).append(summary);
            return false;
        }
        let presence = entry::is_presence(publication);
        self.keep(
            channel,
            presence,
            Entry::publication(order, channel, publication),
        );
        !self.woken.is_empty()
    }

    /// What is summed up of the members of a channel.
    fn interval(&mut self, channel: &Channel) -> &mut PresenceSummary {
        self.summed_up.insert(channel.clone());
        let stream = self.streams.entry(channel.clone()).or_default();
        stream.interval.get_or_insert_default()
    }

    fn keep(&mut self, channel: &Channel, presence: bool, entry: Entry) {
        let order = entry.order;
        self.bytes += entry.bytes();
        if !self.streams.contains_key(channel) {
            self.streams.insert(channel.clone(), Stream::default());
        }
        let mut is_to_sweep = false;
        if let Some(stream) = self.streams.get_mut(channel) {
            let lane = &mut stream.lanes[usize::from(presence)];
            lane.push(entry);
            // The newest stays, whatever it takes: it is what polls wait for.
            while lane.bytes > self.bounds.channel_bytes_max
                && lane.entries.len() > 1
                && let Some(bytes) = lane.forget_oldest(self.bounds.has_history)
            {
                self.bytes -= bytes;
                is_to_sweep |= self.arrivals.note_stale();
            }
            lane.waiting.take(&mut self.woken);
        }
        if let Some(above) = above(channel) {
            if !self.levels.contains_key(above) {
                self.levels.insert(above.into(), Level::default());
            }
            if let Some(level) = self.levels.get_mut(above) {
                if !level.channels.contains(channel) {
                    level.channels.insert(channel.clone());
                }
                level.waiting[usize::from(presence)].take(&mut self.woken);
            }
        }
        self.groups.wake(channel, presence, &mut self.woken);
        let at = Instant::now();
        self.arrivals.push(Arrival {
            order,
            channel: channel.clone(),
            presence,
            at,
        });
        if is_to_sweep {
            self.sweep();
        }
        self.forget_oldest(at);
    }

    /// Forgets what is too old, or too much.
    fn forget_oldest(&mut self, now: Instant) {
        while let Some(oldest) = self.arrivals.oldest() {
            let is_old = now.saturating_duration_since(oldest.at) > self.bounds.age_max;
            let is_within = self.bytes <= self.bounds.bytes_max && self.draw.cover(self.bytes);
            if !is_old && is_within {
                return;
            }
            let Some(Arrival {
                order,
                channel,
                presence,
                ..
            }) = self.arrivals.pop()
            else {
                return;
            };
            let Some(stream) = self.streams.get_mut(&channel) else {
                continue;
            };
            let lane = &mut stream.lanes[usize::from(presence)];
            if lane
                .entries
                .front()
                .is_some_and(|entry| entry.order == order)
                && let Some(bytes) = lane.forget_oldest(self.bounds.has_history)
            {
                self.bytes -= bytes;
                self.forgotten = self.forgotten.max(order);
                self.drop_if_unused(&channel);
            }
        }
    }

    /// Drops notes of what is not there any more.
    fn sweep(&mut self) {
        let streams = &self.streams;
        self.arrivals.retain(|arrival| {
            streams.get(&arrival.channel).is_some_and(|stream| {
                let lane = &stream.lanes[usize::from(arrival.presence)];
                let oldest = lane.entries.front();
                oldest.is_some_and(|oldest| oldest.order <= arrival.order)
            })
        });
    }

    fn drop_if_unused(&mut self, channel: &Channel) {
        let Some(stream) = self.streams.get(channel) else {
            return;
        };
        if !stream.is_unused() {
            return;
        }
        let forgotten = stream.lanes[0].forgotten.max(stream.lanes[1].forgotten);
        self.forgotten = self.forgotten.max(forgotten);
        self.streams.remove(channel);
        if let Some(above) = above(channel)
            && let Some(level) = self.levels.get_mut(above)
        {
            level.channels.remove(channel);
            if level.is_unused() {
                self.levels.remove(above);
            }
        }
    }

    pub(super) fn read(
        &mut self,
        subscribe_set: &SubscribeSet,
        after: u64,
        waiter: &Arc<Waiter>,
        backfill: Vec<(Arc<Entry>, usize)>,
    ) -> Batch {
        let mut found = backfill;
        found.retain(|(entry, _)| entry.order <= self.horizon && !self.is_queued(entry));
        let (mut gaps, mut is_late) = (Vec::new(), false);
        // What is behind this is for the next answer.
        let mut last = u64::MAX;
        for (index, target) in subscribe_set.targets.iter().enumerate() {
            let lane = usize::from(target.presence);
            let mut take = |channel: &Channel, lane: usize| {
                let stream = self.streams.get(channel);
                let kept = stream.map(|stream| &stream.lanes[lane]);
                let forgotten = kept.map_or(0, |lane| lane.forgotten);
                if lane == 0 && after < forgotten.max(self.forgotten) {
                    let scope = GapScope::Channel(channel.clone());
                    gaps.push(Gap { scope, index });
                }
                if let Some(kept) = kept {
                    is_late |= after < kept.lost;
                    // One more than an answer holds shows that there are more.
                    let entries = kept.after(after).take(MESSAGES_MAX + 1);
                    let entries = entries.take_while(|entry| entry.order <= last);
                    found.extend(entries.map(|entry| (entry.clone(), index)));
                    if found.len() > FOUND_MAX {
                        last = keep_oldest(&mut found);
                    }
                }
            };
            match &target.location {
                Location::Channel(channel) => take(channel, lane),
                Location::Group(group) => {
                    let (channels, presence) = self.groups.with_presence(group);
                    channels.for_each(|channel| take(channel, lane));
                    if lane == 0 {
                        presence.for_each(|channel| take(channel, 1));
                    }
                }
                Location::Below(above) => {
                    let level = self.levels.get(above);
                    let channels = level.into_iter().flat_map(|level| &level.channels);
                    channels.for_each(|channel| take(channel, lane));
                    if lane == 0 && after < self.forgotten {
                        let scope = GapScope::Below(above.to_string());
                        gaps.push(Gap { scope, index });
                    }
                }
            }
        }
        let mut cursor = self.horizon.max(after);
        if found.is_empty() {
            self.wait(subscribe_set, waiter);
        } else if subscribe_set.targets.len() > 1 || found.len() > MESSAGES_MAX {
            sort(&mut found);
            if found.len() > MESSAGES_MAX {
                found.truncate(MESSAGES_MAX);
                // The next poll goes on behind these.
                cursor = found.last().map_or(cursor, |(entry, _)| entry.order);
            }
        } else {
            found.sort_unstable_by_key(|(entry, _)| entry.order);
        }
        Batch {
            cursor,
            found,
            gaps,
            is_late,
        }
    }

    /// True when the queue of its channel goes back as far.
    fn is_queued(&self, entry: &Entry) -> bool {
        let stream = self.streams.get(&entry.channel);
        let oldest = stream.and_then(|stream| stream.lanes[0].entries.front());
        oldest.is_some_and(|oldest| oldest.timetoken <= entry.timetoken)
    }

    fn wait(&mut self, subscribe_set: &SubscribeSet, waiter: &Arc<Waiter>) {
        for target in &subscribe_set.targets {
            let lane = usize::from(target.presence);
            match &target.location {
                Location::Channel(channel) => {
                    let stream = self.streams.entry(channel.clone()).or_default();
                    stream.lanes[lane].waiting.add(waiter);
                }
                Location::Group(group) => self.groups.wait(group, target.presence, waiter),
                Location::Below(above) => {
                    let level = self.levels.entry(above.clone()).or_default();
                    level.waiting[lane].add(waiter);
                }
            }
        }
    }

    pub(super) fn forget(&mut self, subscribe_set: &SubscribeSet, waiter: &Waiter) {
        for target in &subscribe_set.targets {
            let lane = usize::from(target.presence);
            match &target.location {
                Location::Channel(channel) => {
                    if let Some(stream) = self.streams.get_mut(channel) {
                        stream.lanes[lane].waiting.remove(waiter);
                        self.drop_if_unused(channel);
                    }
                }
                Location::Group(group) => self.groups.forget(group, target.presence, waiter),
                Location::Below(above) => {
                    if let Some(level) = self.levels.get_mut(above) {
                        level.waiting[lane].remove(waiter);
                        if level.is_unused() {
                            self.levels.remove(above);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn wake_all(&mut self) {
        for stream in self.streams.values_mut() {
            for lane in &mut stream.lanes {
                lane.waiting.take(&mut self.woken);
            }
        }
        for level in self.levels.values_mut() {
            for waiting in &mut level.waiting {
                waiting.take(&mut self.woken);
            }
        }
        self.groups.wake_all(&mut self.woken);
    }

    /// Tells of what was summed up. These entries are of this node alone and have no timetoken of their own:
    /// each takes the place right behind what arrived last.
    pub(super) fn end_interval(&mut self) {
        for channel in std::mem::take(&mut self.summed_up) {
            let Some(stream) = self.streams.get_mut(&channel) else {
                continue;
            };
            let Some(interval) = stream.interval.take() else {
                continue;
            };
            self.horizon += 1;
            let entry = Entry::interval(
                self.horizon,
                &channel,
                intervals::write(&interval, self.horizon),
            );
            self.keep(&channel, true, entry);
        }
        self.forget_oldest(Instant::now());
    }

    pub(super) fn begin_behind(&mut self, last: u64) {
        self.horizon = self.horizon.max(last);
        self.forgotten = self.forgotten.max(last);
    }

    /// Messages of a channel are lost: whoever asks for what came after an earlier cursor gets what the store has, and is
    /// counted as late.
    pub(super) fn lose(&mut self, channel: &Channel) {
        // Later than all that was given, which clients have seen that are up to date.
        self.horizon += 1;
        match self.streams.get_mut(channel) {
            Some(stream) => {
                let lane = &mut stream.lanes[0];
                (lane.forgotten, lane.lost) = (self.horizon, self.horizon);
            }
            None => self.forgotten = self.horizon,
        }
    }

    pub(super) fn set_in_group(&mut self, group: &str, channel: &Channel, is_in: bool) {
        if is_in {
            self.groups.add(group, channel, &mut self.woken);
        } else {
            self.groups.remove(group, channel);
        }
    }

    pub(super) fn has_room_in_group(&self, group: &str, channels: &[Channel]) -> bool {
        self.groups.has_room(group, channels)
    }

    pub(super) fn group(&self, group: &str) -> Vec<Channel> {
        self.groups.channels(group).cloned().collect()
    }

    pub(super) fn group_entries(&self, group: &str) -> Vec<Channel> {
        let (channels, presence) = self.groups.with_presence(group);
        let named = |channel: &Channel| Channel::new(&format!("{channel}{PRESENCE}")).ok();
        let presence = presence.filter_map(named);
        channels.cloned().chain(presence).collect()
    }

    pub(super) fn group_names(&self) -> Vec<Arc<str>> {
        self.groups.names()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use polywire_core::{Draft, Payload, Position, Seq, Timetoken};
    use proptest::prelude::*;

    use super::*;
    use crate::keys::KeySets;

    fn table() -> StreamTable {
        StreamTable::new(
            Bounds {
                bytes_max: 1 << 20,
                channel_bytes_max: 1 << 20,
                age_max: Duration::from_secs(60),
                announce_max: 20,
                has_history: false,
            },
            0,
        )
    }

    fn subscribe_set(names: &str) -> SubscribeSet {
        let keys = KeySets::new(Vec::new());
        SubscribeSet::parse(keys.first(), names, "").unwrap()
    }

    fn publication(channel: &str, seq: u64, timetoken: u64) -> Publication {
        let channel = Channel::new(channel).unwrap();
        Draft::new(channel, Payload::text(seq.to_string())).at(Position {
            seq: Seq(seq),
            timetoken: Timetoken(timetoken),
            ..Position::default()
        })
    }

    fn arrive(table: &mut StreamTable, publication: &Publication, clock: &mut u64) {
        let channel = publication.target.channel().unwrap();
        table.arrive(channel, publication, || {
            *clock += 1;
            Some(*clock)
        });
    }

    fn places(batch: &Batch) -> Vec<(String, u64)> {
        let message = |entry: &Entry| {
            let seq = entry.message().unwrap().position().seq.0;
            (entry.channel.to_string(), seq)
        };
        batch
            .found
            .iter()
            .map(|(entry, _)| message(entry))
            .collect()
    }

    #[test]
    fn a_late_arrival_is_behind_every_cursor_that_was_handed_out() {
        let (mut table, both, waiter) = (table(), subscribe_set("a,b"), Waiter::new());
        let mut clock = 100;
        arrive(&mut table, &publication("b", 1, 11), &mut clock);
        let batch = table.read(&both, 5, &waiter, Vec::new());
        assert_eq!((batch.cursor, places(&batch)), (11, vec![("b".into(), 1)]));
        // It had its time before, and comes only now.
        arrive(&mut table, &publication("a", 1, 10), &mut clock);
        let batch = table.read(&both, 11, &waiter, Vec::new());
        assert_eq!((batch.cursor, places(&batch)), (101, vec![("a".into(), 1)]));
        assert!(table.read(&both, 101, &waiter, Vec::new()).found.is_empty());
        // Its publisher resumes behind it.
        let batch = table.read(&subscribe_set("a"), 10, &waiter, Vec::new());
        assert!(batch.found.is_empty());
    }

    /// The numbers that come, one answer after the other.
    fn read_all(table: &mut StreamTable, names: &str, mut cursor: u64) -> Vec<u64> {
        let (names, waiter) = (subscribe_set(names), Waiter::new());
        let mut came = Vec::new();
        loop {
            let batch = table.read(&names, cursor, &waiter, Vec::new());
            if batch.found.is_empty() {
                return came;
            }
            assert!(batch.found.len() <= MESSAGES_MAX);
            came.extend(places(&batch).into_iter().map(|(_, seq)| seq));
            cursor = batch.cursor;
        }
    }

    #[test]
    fn a_channel_keeps_what_it_has_bytes_for_however_many_messages_that_are() {
        let mut table = table();
        let mut clock = 10_000;
        for number in 1..=1500 {
            arrive(&mut table, &publication("room", number, number), &mut clock);
        }
        assert!(read_all(&mut table, "room", 1).into_iter().eq(2..=1500));
    }

    #[test]
    fn what_a_channel_has_no_bytes_for_goes_and_is_known_to_be_missing() {
        let (mut table, waiter) = (table(), Waiter::new());
        table.bounds.channel_bytes_max = 20_000;
        let mut clock = 1000;
        arrive(&mut table, &publication("hall", 1, 1), &mut clock);
        for number in 2..=130 {
            arrive(&mut table, &publication("room", number, number), &mut clock);
        }
        let room = subscribe_set("room");
        let batch = table.read(&room, 1, &waiter, Vec::new());
        let first = places(&batch)[0].1;
        assert!(first > 90 && read_all(&mut table, "room", 1).into_iter().eq(first..=130));
        assert_eq!((batch.gaps.len(), batch.is_late), (1, true));
        let batch = table.read(&room, first - 1, &waiter, Vec::new());
        assert_eq!((batch.gaps.len(), batch.is_late), (0, false));
        assert_eq!(read_all(&mut table, "hall", 0), [1], "it has its own");
        let kept = |name: &str| table.streams[name].lanes[0].bytes;
        assert!(kept("room") <= 20_000);
        assert_eq!(table.bytes, kept("room") + kept("hall"));
    }

    #[test]
    fn the_newest_stays_whatever_it_takes() {
        let mut table = table();
        table.bounds.channel_bytes_max = 1;
        let mut clock = 1000;
        for number in 1..=3 {
            arrive(&mut table, &publication("room", number, number), &mut clock);
            assert_eq!(read_all(&mut table, "room", number - 1), [number]);
        }
    }

    #[test]
    fn a_poll_is_late_for_what_history_has_not() {
        for (has_history, is_late) in [(true, false), (false, true)] {
            let (mut table, room, waiter) = (table(), subscribe_set("room"), Waiter::new());
            table.bounds.channel_bytes_max = 1;
            table.bounds.has_history = has_history;
            let mut clock = 1000;
            for number in 1..=3 {
                arrive(&mut table, &publication("room", number, number), &mut clock);
            }
            let batch = table.read(&room, 1, &waiter, Vec::new());
            assert_eq!((batch.gaps.len(), batch.is_late), (1, is_late));
        }
    }

    #[test]
    fn one_answer_holds_a_hundred_and_the_next_goes_on_there() {
        let (mut table, both, waiter) = (table(), subscribe_set("a,b"), Waiter::new());
        let mut clock = 1000;
        for number in 1..=80 {
            arrive(
                &mut table,
                &publication("a", number, 2 * number),
                &mut clock,
            );
            arrive(
                &mut table,
                &publication("b", number, 2 * number + 1),
                &mut clock,
            );
        }
        let first = table.read(&both, 1, &waiter, Vec::new());
        let second = table.read(&both, first.cursor, &waiter, Vec::new());
        assert_eq!((first.found.len(), second.found.len()), (100, 60));
        let orders = first.found.iter().chain(&second.found);
        assert!(orders.map(|(entry, _)| entry.order).is_sorted());
    }

    #[test]
    fn a_read_of_many_full_channels_is_the_oldest_hundred_of_all() {
        let (mut table, waiter) = (table(), Waiter::new());
        table.bounds.bytes_max = 100 << 20;
        let mut clock = 100_000;
        for number in 1..=100 {
            for channel in 0..50 {
                let timetoken = 1000 * channel + number;
                let name = format!("c{channel}");
                let publication = publication(&name, number, timetoken.max(clock + 1));
                clock = publication.position().timetoken.0;
                arrive(&mut table, &publication, &mut clock);
            }
        }
        // The last ones first, each twice.
        let names = (0..50)
            .rev()
            .map(|channel| format!("c{channel},c{channel}"));
        let all = subscribe_set(&names.collect::<Vec<_>>().join(","));
        let mut cursor = 1;
        let mut came = Vec::new();
        loop {
            let batch = table.read(&all, cursor, &waiter, Vec::new());
            if batch.found.is_empty() {
                break;
            }
            assert_eq!(batch.found.len(), 100);
            came.extend(batch.found.iter().map(|(entry, _)| entry.order));
            cursor = batch.cursor;
        }
        assert_eq!(came.len(), 5000);
        assert!(came.windows(2).all(|two| two[0] < two[1]));
    }

    #[test]
    fn nothing_is_kept_for_those_who_went_away() {
        let (mut table, waiter) = (table(), Waiter::new());
        let names = subscribe_set("a,b-pnpres,c.*,d.e");
        table.read(&names, 5, &waiter, Vec::new());
        assert_eq!(table.streams.len(), 3);
        table.forget(&names, &waiter);
        assert!(table.streams.is_empty() && table.levels.is_empty());
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much() {
        let (mut table, waiter) = (table(), Waiter::new());
        table.bounds.bytes_max = 10_000;
        let mut clock = 10_000;
        for number in 1..=2000 {
            let name = format!("c{}.x", number % 50);
            arrive(&mut table, &publication(&name, number, number), &mut clock);
            assert!(table.bytes <= 10_000);
        }
        assert!(
            table
                .arrivals
                .oldest()
                .is_some_and(|oldest| oldest.order > 1900)
        );
        assert!(table.streams.len() <= 40 && table.levels.len() <= 40);
        assert_eq!(
            table
                .read(&subscribe_set("c0.x"), 1, &waiter, Vec::new())
                .gaps
                .len(),
            1
        );
    }

    proptest! {
        /// However late things come, and whenever is polled, a poller sees everything once, and each channel in
        /// order.
        #[test]
        fn nothing_is_lost_and_nothing_comes_twice(
            steps in prop::collection::vec((0..5u8, 0..4usize), 1..300),
        ) {
            let mut table = table();
            let (all, waiter) = (subscribe_set("c0,c1,c2,c3"), Waiter::new());
            let mut clock = 1000;
            let mut under_way: [VecDeque<Publication>; 4] = Default::default();
            let (mut sent, mut came) = ([0; 4], [0; 4]);
            let mut cursor = 1;
            let mut read = |table: &mut StreamTable, lost: bool| {
                let batch = table.read(&all, cursor, &waiter, Vec::new());
                if lost {
                    return Ok(true);
                }
                for (channel, seq) in places(&batch) {
                    let index: usize = channel[1..].parse().unwrap();
                    came[index] += 1;
                    prop_assert_eq!(seq, came[index]);
                }
                prop_assert!(batch.cursor >= cursor);
                cursor = batch.cursor;
                Ok(batch.found.is_empty())
            };
            for (step, channel) in steps {
                match step {
                    0 | 1 => {
                        clock += 1;
                        sent[channel] += 1;
                        let name = format!("c{channel}");
                        under_way[channel].push_back(publication(&name, sent[channel], clock));
                    }
                    2 => {
                        if let Some(publication) = under_way[channel].pop_front() {
                            arrive(&mut table, &publication, &mut clock);
                        }
                    }
                    step => {
                        // One in two answers is lost on the way.
                        read(&mut table, step == 3)?;
                    }
                }
            }
            for publication in under_way.iter_mut().flatten() {
                arrive(&mut table, publication, &mut clock);
            }
            while !read(&mut table, false)? {}
            prop_assert_eq!(sent, came);
        }
    }
}
