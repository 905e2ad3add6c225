//! The index in memory: where everything is.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use polywire_core::{Position, Publication, Rules, Target, Timetoken};

use super::{channel::Channel, place::Place, record::Note, segments::Segments};

/// Where everything is.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) channels: BTreeMap<Target, Channel>,
    pub(super) segments: Segments,
    /// What did not wait for the disk and is not written yet, of all channels.
    pub(super) behind: VecDeque<Arc<Publication>>,
    pub(super) behind_bytes: usize,
    /// The latest timetoken that was ever stored.
    pub(super) last_timetoken: u64,
    bytes: usize,
}

/// What a publication that waits to be written counts for.
pub(super) fn behind_bytes(publication: &Publication) -> usize {
    publication.bytes() + 512
}

impl Index {
    /// Does something with a channel, which is created when it is not there, and keeps account of the bytes.
    pub(super) fn with<T>(
        &mut self,
        target: &Target,
        act: impl FnOnce(&mut Channel, &mut Segments) -> T,
    ) -> T {
        if !self.channels.contains_key(target) {
            let channel = Channel::new(target);
            self.bytes += channel.index_bytes() + name_bytes(target);
            self.channels.insert(target.clone(), channel);
        }
        // It is there now; a second look-up only for a new channel.
        self.with_known(target, act)
            .expect("the channel was just added")
    }

    /// Does something with a channel, when it is there.
    pub(super) fn with_known<T>(
        &mut self,
        target: &Target,
        act: impl FnOnce(&mut Channel, &mut Segments) -> T,
    ) -> Option<T> {
        let channel = self.channels.get_mut(target)?;
        let before = channel.index_bytes();
        let result = act(channel, &mut self.segments);
        self.bytes = self.bytes + channel.index_bytes() - before;
        Some(result)
    }

    /// A publication was written.
    pub(super) fn add(&mut self, target: &Target, position: Position, place: Place, behind: bool) {
        self.observe(position.timetoken);
        self.with(target, |channel, segments| {
            channel.add(place, segments);
            channel.advance(position, Some(place.segment));
            channel.behind = behind;
        });
    }

    /// A record that is no publication was written.
    pub(super) fn note(&mut self, note: Note, at: (u32, u32)) {
        match note {
            Note::Deletion { target, span } => {
                self.with_known(&target, |channel, segments| {
                    channel.delete(span, 0, segments)
                });
            }
            Note::Annotation {
                target,
                publication,
                annotation,
            } => {
                self.observe(annotation.at);
                self.with_known(&target, |channel, segments| {
                    if channel.place(publication).is_some() {
                        let attached = &mut channel.attached;
                        attached.add(publication, annotation, at, segments);
                    }
                });
            }
            Note::Removal {
                target,
                publication,
                at,
            } => {
                self.with_known(&target, |channel, segments| {
                    channel.attached.remove(publication, at, segments)
                });
            }
            Note::Head {
                target,
                position,
                broken,
            } => {
                self.observe(position.timetoken);
                self.with(&target, |channel, _| {
                    channel.advance(position, Some(at.0));
                    channel.broken |= broken && channel.head.epoch == position.epoch;
                });
            }
        }
    }

    pub(super) fn observe(&mut self, timetoken: Timetoken) {
        self.last_timetoken = self.last_timetoken.max(timetoken.0);
    }

    /// Applies the rules to a number of channels behind `after`; returns the last one, until all were seen.
    pub(super) fn sweep(
        &mut self,
        after: Option<&Target>,
        count: usize,
        rules: &Rules,
        now: u64,
    ) -> Option<Target> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut left = count;
        for (target, channel) in self.channels.range_mut((start, Bound::Unbounded)) {
            let before = channel.index_bytes();
            channel.expire(now, &mut self.segments);
            channel.trim(rules.of(target), now, &mut self.segments);
            channel.shrink();
            self.bytes = self.bytes + channel.index_bytes() - before;
            left -= 1;
            if left == 0 {
                return Some(target.clone());
            }
        }
        None
    }

    /// Keeps to `bytes_max`: the oldest publications of the largest channels are retired, then idle channels
    /// that have nothing stored are forgotten. Frees some more than it must, so that it is seldom needed.
    pub(super) fn enforce(&mut self, bytes_max: usize) {
        if self.bytes <= bytes_max {
            return;
        }
        let goal = bytes_max - bytes_max / 8;
        while self.bytes > goal && self.halve_largest(goal) {}
        self.forget_idle(goal);
    }

    fn halve_largest(&mut self, goal: usize) -> bool {
        let mut sizes: Vec<_> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.places_len() > 0)
            .map(|(target, channel)| (channel.index_bytes(), target.clone()))
            .collect();
        sizes.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (_, target) in &sizes {
            if self.bytes <= goal {
                break;
            }
            self.with_known(target, |channel, segments| {
                for _ in 0..channel.places_len().div_ceil(2) {
                    channel.remove_oldest(segments);
                }
                channel.shrink();
            });
        }
        !sizes.is_empty()
    }

    fn forget_idle(&mut self, goal: usize) {
        if self.bytes <= goal {
            return;
        }
        let mut idle: Vec<_> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.is_empty())
            .map(|(target, channel)| (channel.head.timetoken, target.clone()))
            .collect();
        idle.sort_unstable();
        for (_, target) in idle {
            if self.bytes <= goal {
                break;
            }
            if let Some(channel) = self.channels.remove(&target) {
                self.bytes -= channel.index_bytes() + name_bytes(&target);
            }
        }
    }
}

fn name_bytes(target: &Target) -> usize {
    match target {
        Target::Channel(channel) => channel.as_str().len(),
        Target::Client(client) => client.as_str().len(),
    }
}
