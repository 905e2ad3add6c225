//! Channel groups.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;
use polywire_core::Channel;

use super::waiter::{Waiter, Waiters};

/// Channels of one group.
pub(super) const CHANNELS_MAX: usize = 2000;

/// Groups of one node.
const GROUPS_MAX: usize = 100_000;

/// All groups, and which groups a channel is in.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<Arc<str>, ChannelGroup>,
    of_channel: HashMap<Channel, Vec<Arc<str>>, RandomState>,
}

/// A group. It also stands for a name that somebody waits at and that is no group yet.
#[derive(Debug, Default)]
struct ChannelGroup {
    channels: BTreeSet<Channel>,
    /// For messages, and for presence.
    waiting: [Waiters; 2],
}

impl ChannelGroup {
    fn is_unused(&self) -> bool {
        self.channels.is_empty() && self.waiting.iter().all(Waiters::is_empty)
    }
}

impl Groups {
    /// False when these would be too many for a group, or the group one too many.
    pub(super) fn has_room(&self, name: &str, channels: &[Channel]) -> bool {
        let Some(group) = self.groups.get(name) else {
            return self.groups.len() < GROUPS_MAX && channels.len() <= CHANNELS_MAX;
        };
        let new = channels.iter().filter(|c| !group.channels.contains(*c));
        let new: BTreeSet<_> = new.collect();
        group.channels.len() + new.len() <= CHANNELS_MAX
    }

    pub(super) fn add(&mut self, name: &str, channel: Channel, woken: &mut Vec<Arc<Waiter>>) {
        let name: Arc<str> = name.into();
        let group = self.groups.entry(name.clone()).or_default();
        if group.channels.insert(channel.clone()) {
            self.of_channel.entry(channel).or_default().push(name);
        }
        // What the new channel holds may be what they wait for.
        for waiting in &mut group.waiting {
            waiting.take(woken);
        }
    }

    pub(super) fn remove(&mut self, name: &str, channel: &Channel) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        if group.channels.remove(channel)
            && let Some(groups) = self.of_channel.get_mut(channel)
        {
            groups.retain(|group| **group != *name);
            if groups.is_empty() {
                self.of_channel.remove(channel);
            }
        }
        if group.is_unused() {
            self.groups.remove(name);
        }
    }

    pub(super) fn channels(&self, name: &str) -> impl Iterator<Item = &Channel> {
        let group = self.groups.get(name);
        group.into_iter().flat_map(|group| &group.channels)
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        let groups = self.groups.iter();
        let groups = groups.filter(|(_, group)| !group.channels.is_empty());
        groups.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn wait(&mut self, name: &Arc<str>, presence: bool, waiter: &Arc<Waiter>) {
        let group = self.groups.entry(name.clone()).or_default();
        group.waiting[usize::from(presence)].add(waiter);
    }

    pub(super) fn forget(&mut self, name: &Arc<str>, presence: bool, waiter: &Waiter) {
        if let Some(group) = self.groups.get_mut(name) {
            group.waiting[usize::from(presence)].remove(waiter);
            if group.is_unused() {
                self.groups.remove(name);
            }
        }
    }

    /// Wakes who waits at a group of the channel.
    pub(super) fn wake(&mut self, channel: &Channel, presence: bool, woken: &mut Vec<Arc<Waiter>>) {
        for name in self.of_channel.get(channel).into_iter().flatten() {
            if let Some(group) = self.groups.get_mut(name) {
                group.waiting[usize::from(presence)].take(woken);
            }
        }
    }

    pub(super) fn wake_all(&mut self, woken: &mut Vec<Arc<Waiter>>) {
        for group in self.groups.values_mut() {
            for waiting in &mut group.waiting {
                waiting.take(woken);
            }
        }
    }
}
