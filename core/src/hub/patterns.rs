//! Patterns of this node: its wildcard subscribers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use smallvec::SmallVec;

use super::members::{JoinNumber, Members};
use crate::{
    channel::Channel,
    delivery::Receiver,
    identity::ConnectionId,
    pattern::{Pattern, Trie},
};

/// The members of every pattern, one trie for each separator.
#[derive(Default)]
pub(super) struct Patterns {
    tries: RwLock<BTreeMap<char, Trie<Members>>>,
    known: RwLock<HashMap<Pattern, usize, RandomState>>,
    count: AtomicUsize,
    /// Counts the joins: what no pattern matched, none matches until somebody joins.
    joins: AtomicU64,
}

/// What a topic knows of patterns: that none matched it after so many joins. With it, a channel that no
/// wildcard subscriber wants does not touch the lock that all channels would share.
#[derive(Debug, Default)]
pub(super) struct Unmatched(Option<u64>);

/// Wildcard subscribers of a channel, each connection once, by their connections. Mostly they are few, for which a map
/// would take an allocation.
pub(super) struct Wild(Found);

type Found = SmallVec<[(ConnectionId, Option<Arc<dyn Receiver>>); 4]>;

impl Wild {
    fn new(mut found: Found) -> Self {
        found.sort_unstable_by_key(|(connection, _)| *connection);
        found.dedup_by_key(|(connection, _)| *connection);
        Self(found)
    }

    /// A connection gets it otherwise.
    pub(super) fn remove(&mut self, connection: ConnectionId) {
        let place = self
            .0
            .binary_search_by_key(&connection, |(found, _)| *found);
        if let Ok(place) = place {
            self.0[place].1 = None;
        }
    }

    /// Calls `visit` for all but `except`.
    pub(super) fn each(
        &self,
        except: Option<ConnectionId>,
        mut visit: impl FnMut(&Arc<dyn Receiver>),
    ) {
        for (connection, receiver) in &self.0 {
            if let Some(receiver) = receiver
                && Some(*connection) != except
            {
                visit(receiver);
            }
        }
    }
}

impl Patterns {
    /// True when there is a wildcard subscriber at all.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    pub(super) fn join(&self, pattern: &Pattern, receiver: Arc<dyn Receiver>) -> JoinNumber {
        let mut tries = self.tries.write();
        let trie = tries.entry(pattern.separator()).or_default();
        let number = trie.entry(pattern, Members::default).join(receiver);
        *self.known.write().entry(pattern.clone()).or_default() += 1;
        self.count.fetch_add(1, Ordering::AcqRel);
        self.joins.fetch_add(1, Ordering::AcqRel);
        number
    }

    pub(super) fn leave(&self, pattern: &Pattern, number: JoinNumber) -> bool {
        let mut tries = self.tries.write();
        let Some(trie) = tries.get_mut(&pattern.separator()) else {
            return false;
        };
        let members = trie.entry(pattern, Members::default);
        let left = members.leave(number);
        let empty = members.len() == 0;
        if empty {
            trie.remove(pattern);
        }
        if left {
            self.count.fetch_sub(1, Ordering::AcqRel);
            let mut known = self.known.write();
            if let Some(count) = known.get_mut(pattern) {
                *count -= 1;
            }
            if empty {
                known.remove(pattern);
            }
        }
        left && empty
    }

    pub(super) fn is_occupied(&self, pattern: &Pattern) -> bool {
        self.known.read().contains_key(pattern)
    }

    pub(super) fn occupied(&self) -> Vec<Pattern> {
        self.known.read().keys().cloned().collect()
    }

    /// True when some pattern matches a channel.
    pub(super) fn any_matches(&self, channel: &Channel) -> bool {
        let mut any = false;
        for (separator, trie) in self.tries.read().iter() {
            trie.visit(channel.as_str(), *separator, |_| any = true);
        }
        any
    }

    /// Calls `visit` for all subscribers of one pattern.
    pub(super) fn each_of(&self, pattern: &Pattern, visit: impl FnMut(&Arc<dyn Receiver>)) {
        if self.is_occupied(pattern)
            && let Some(trie) = self.tries.write().get_mut(&pattern.separator())
        {
            trie.entry(pattern, Members::default).each(None, visit);
        }
    }

    /// The wildcard subscribers of a channel, each connection once; `None` when there are none.
    pub(super) fn receivers(&self, channel: &Channel, unmatched: &mut Unmatched) -> Option<Wild> {
        if !self.any() || unmatched.0 == Some(self.joins.load(Ordering::Acquire)) {
            return None;
        }
        let mut found = Found::new();
        let tries = self.tries.read();
        for (separator, trie) in tries.iter() {
            trie.visit(channel.as_str(), *separator, |members| {
                members.each(None, |receiver| {
                    found.push((receiver.connection(), Some(receiver.clone())));
                });
            });
        }
        if found.is_empty() {
            // Joins are counted under the lock that is still held.
            unmatched.0 = Some(self.joins.load(Ordering::Acquire));
            return None;
        }
        drop(tries);
        Some(Wild::new(found))
    }
}
