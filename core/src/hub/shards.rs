//! A map of topics that many threads use at once.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use foldhash::fast::RandomState;
use parking_lot::RwLock;

use super::{members::JoinNumber, topic::Topic};
use crate::{delivery::Receiver, publication::Clock};

/// Shards of the map: enough that threads rarely meet, few enough that walking all is cheap.
const SHARDS: usize = 64;

type TopicShard<K> = RwLock<HashMap<K, Arc<Topic>, RandomState>>;

/// Topics by name. A topic exists while somebody is on it or something is on its way through it.
pub(super) struct Shards<K> {
    shards: Box<[TopicShard<K>]>,
    hasher: RandomState,
}

impl<K> Default for Shards<K> {
    fn default() -> Self {
        let hasher = RandomState::default();
        let shards = (0..SHARDS)
            .map(|_| RwLock::new(HashMap::with_hasher(hasher.clone())))
            .collect();
        Self { shards, hasher }
    }
}

impl<K: Hash + Eq + Clone> Shards<K> {
    fn shard(&self, key: &K) -> &TopicShard<K> {
        // The upper bits: the map inside uses the lower ones.
        let hash = self.hasher.hash_one(key);
        &self.shards[(hash >> 57) as usize % SHARDS]
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<Topic>> {
        self.shard(key).read().get(key).cloned()
    }

    /// The topic; made when there is none and `make` says so.
    pub(super) fn get_or(&self, key: &K, make: bool, clock: &Clock) -> Option<Arc<Topic>> {
        match self.get(key) {
            None if make => Some(self.get_or_make(key, clock)),
            found => found,
        }
    }

    /// The topic; made when there is none.
    pub(super) fn get_or_make(&self, key: &K, clock: &Clock) -> Arc<Topic> {
        if let Some(topic) = self.get(key) {
            return topic;
        }
        let mut shard = self.shard(key).write();
        shard
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Topic::new(clock)))
            .clone()
    }

    pub(super) fn join(&self, key: &K, clock: &Clock, receiver: &Arc<dyn Receiver>) -> JoinNumber {
        loop {
            // A topic that was retired between the look and the lock takes nobody.
            if let Some(number) = self.get_or_make(key, clock).join(receiver) {
                return number;
            }
        }
    }

    /// True when the last receiver left.
    pub(super) fn leave(&self, key: &K, number: JoinNumber) -> bool {
        let Some(topic) = self.get(key) else {
            return false;
        };
        let empty = topic.leave(number);
        if empty {
            self.retire_if_empty(key, &topic);
        }
        empty
    }

    /// Forgets a topic that nobody is on and nothing is on its way through.
    pub(super) fn retire_if_empty(&self, key: &K, topic: &Arc<Topic>) {
        if !topic.is_idle() {
            return;
        }
        let mut shard = self.shard(key).write();
        let current = shard
            .get(key)
            .is_some_and(|found| Arc::ptr_eq(found, topic));
        if current && topic.retire() {
            shard.remove(key);
        }
    }

    pub(super) fn is_occupied(&self, key: &K) -> bool {
        self.get(key).is_some_and(|topic| topic.len() > 0)
    }

    pub(super) fn occupied(&self) -> Vec<K> {
        self.shards
            .iter()
            .flat_map(|shard| {
                let shard = shard.read();
                let occupied = shard.iter().filter(|(_, topic)| topic.len() > 0);
                occupied.map(|(key, _)| key.clone()).collect::<Vec<_>>()
            })
            .collect()
    }
}
