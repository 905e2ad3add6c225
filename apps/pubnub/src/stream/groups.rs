//! Channel groups.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;
use polywire_core::Channel;

use super::waiter::{Waiter, Waiters};
use crate::names::split;

/// Channels of one group.
pub(super) const CHANNELS_MAX: usize = 2000;

/// Groups of one node.
const GROUPS_MAX: usize = 100_000;

/// All groups, and which groups a channel is in.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<Arc<str>, ChannelGroup>,
    /// With its messages, and with its presence.
    of_channel: [HashMap<Channel, Vec<Arc<str>>, RandomState>; 2],
}

/// A group. It also stands for a name that somebody waits at and that is no group yet.
#[derive(Debug, Default)]
struct ChannelGroup {
    /// Whose messages are in it, and whose presence.
    channels: [BTreeSet<Channel>; 2],
    /// For messages, and for presence.
    waiting: [Waiters; 2],
}

impl ChannelGroup {
    fn is_empty(&self) -> bool {
        self.channels.iter().all(BTreeSet::is_empty)
    }

    fn is_unused(&self) -> bool {
        self.is_empty() && self.waiting.iter().all(Waiters::is_empty)
    }
}

/// What a name in a group stands for: a channel, and whether its presence.
fn read(name: &Channel) -> (Channel, bool) {
    let (base, presence) = split(name.as_str());
    match Channel::new(base) {
        Ok(channel) if presence => (channel, true),
        _ => (name.clone(), false),
    }
}

impl Groups {
    /// False when these would be too many for a group, or the group one too many.
    pub(super) fn has_room(&self, name: &str, channels: &[Channel]) -> bool {
        let Some(group) = self.groups.get(name) else {
            return self.groups.len() < GROUPS_MAX && channels.len() <= CHANNELS_MAX;
        };
        let read: BTreeSet<_> = channels.iter().map(read).collect();
        let is_new = |(channel, presence): &&(Channel, bool)| {
            !group.channels[usize::from(*presence)].contains(channel)
        };
        let new = read.iter().filter(is_new).count();
        let known: usize = group.channels.iter().map(BTreeSet::len).sum();
        known + new <= CHANNELS_MAX
    }

    /// Puts a channel, or its presence, into a group.
    pub(super) fn add(&mut self, name: &str, channel: &Channel, woken: &mut Vec<Arc<Waiter>>) {
        let name: Arc<str> = name.into();
        let (channel, presence) = read(channel);
        let lane = usize::from(presence);
        let group = self.groups.entry(name.clone()).or_default();
        if group.channels[lane].insert(channel.clone()) {
            self.of_channel[lane].entry(channel).or_default().push(name);
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
        let (channel, presence) = read(channel);
        let lane = usize::from(presence);
        if group.channels[lane].remove(&channel)
            && let Some(groups) = self.of_channel[lane].get_mut(&channel)
        {
            groups.retain(|group| **group != *name);
            if groups.is_empty() {
                self.of_channel[lane].remove(&channel);
            }
        }
        if group.is_unused() {
            self.groups.remove(name);
        }
    }

    /// The channels of a group.
    pub(super) fn channels(&self, name: &str) -> impl Iterator<Item = &Channel> {
        let group = self.groups.get(name);
        group.into_iter().flat_map(|group| &group.channels[0])
    }

    /// The same, and the channels whose presence is in the group.
    pub(super) fn with_presence(
        &self,
        name: &str,
    ) -> (
        impl Iterator<Item = &Channel>,
        impl Iterator<Item = &Channel>,
    ) {
        let of = |lane: usize| {
            let group = self.groups.get(name);
            group
                .into_iter()
                .flat_map(move |group| &group.channels[lane])
        };
        (of(0), of(1))
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        let groups = self.groups.iter();
        let groups = groups.filter(|(_, group)| !group.is_empty());
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
        let mut wake = |of: usize, lane: usize| {
            for name in self.of_channel[of].get(channel).into_iter().flatten() {
                if let Some(group) = self.groups.get_mut(name) {
                    group.waiting[lane].take(woken);
                }
            }
        };
        wake(0, usize::from(presence));
        if presence {
            // Its presence is a message of the group.
            wake(1, 0);
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
