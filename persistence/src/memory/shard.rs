//! A part of the channels, under one lock.

use std::{
    collections::{HashMap, VecDeque},
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};
use polywire_core::{Publication, Rule, Target, Timetoken};

use super::ring::{OVERHEAD, Ring};

/// What a channel costs besides its publications.
const CHANNEL: usize = 256;

/// Some of the channels.
#[derive(Debug)]
pub(super) struct Shard {
    rings: Mutex<Rings>,
    /// About when the oldest publication came; to be looked at without the lock.
    oldest: AtomicU64,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            rings: Mutex::default(),
            oldest: AtomicU64::new(u64::MAX),
        }
    }
}

impl Shard {
    pub(super) fn lock(&self) -> Locked<'_> {
        Locked {
            rings: self.rings.lock(),
            oldest: &self.oldest,
        }
    }

    /// About when the oldest publication came; the end of time when there is none.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }
}

/// A shard under its lock.
pub(super) struct Locked<'s> {
    rings: MutexGuard<'s, Rings>,
    oldest: &'s AtomicU64,
}

impl Deref for Locked<'_> {
    type Target = Rings;

    fn deref(&self) -> &Rings {
        &self.rings
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Rings {
        &mut self.rings
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let oldest = self.rings.line.front();
        let oldest = oldest.map_or(u64::MAX, |(_, timetoken)| timetoken.0);
        self.oldest.store(oldest, Ordering::Relaxed);
    }
}

/// The rings of a shard, and the order in which their publications go when there is no room.
#[derive(Debug, Default)]
pub(super) struct Rings {
    rings: HashMap<Target, Ring, RandomState>,
    /// Every publication in the order of storing; those that are gone already stay in line for a while.
    line: VecDeque<(Target, Timetoken)>,
    /// Publications that are there.
    live: usize,
}

/// Bytes that came and went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) came: usize,
    pub(super) went: usize,
}

impl Rings {
    pub(super) fn ring(&self, target: &Target) -> Option<&Ring> {
        self.rings.get(target)
    }

    pub(super) fn ring_mut(&mut self, target: &Target) -> Option<&mut Ring> {
        self.rings.get_mut(target)
    }

    /// The channels that have something stored.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        let stored = self.rings.iter().filter(|(_, ring)| !ring.is_empty());
        stored.map(|(target, _)| target)
    }

    pub(super) fn push(&mut self, publication: &Arc<Publication>, rule: &Rule) -> Change {
        let mut change = Change::default();
        let target = &publication.target;
        let ring = match self.rings.get_mut(target) {
            Some(ring) => ring,
            None => {
                change.came += CHANNEL;
                self.rings.entry(target.clone()).or_insert_with(Ring::new)
            }
        };
        let before = ring.len();
        let (came, went) = ring.push(publication, rule);
        self.live = self.live + ring.len() - before;
        change.came += came;
        change.went += went;
        self.line
            .push_back((target.clone(), publication.position().timetoken));
        if self.line.len() > 2 * (self.live + self.rings.len()) + 64 {
            self.close_ranks();
        }
        change
    }

    /// Takes those out of line that are gone already.
    fn close_ranks(&mut self) {
        let rings = &self.rings;
        self.line.retain(|(target, timetoken)| {
            rings.get(target).is_some_and(|ring| {
                ring.last().timetoken == *timetoken
                    || ring.oldest().is_some_and(|oldest| oldest <= *timetoken)
            })
        });
    }

    /// Publications were deleted.
    pub(super) fn deleted(&mut self, count: u64) {
        self.live -= usize::try_from(count).unwrap_or(self.live).min(self.live);
    }

    /// Takes away the oldest publication, or a channel that has had none for longer than any other; returns the
    /// bytes. `None` when there is nothing.
    pub(super) fn evict(&mut self) -> Option<usize> {
        loop {
            let (target, timetoken) = self.line.pop_front()?;
            let Some(ring) = self.rings.get_mut(&target) else {
                continue;
            };
            if ring.oldest() == Some(timetoken) {
                let bytes = ring.pop();
                self.live -= 1;
                if ring.is_empty() {
                    // Its place is remembered until its turn comes again.
                    self.line.push_back((target, timetoken));
                }
                return Some(bytes);
            }
            if ring.is_empty() && ring.last().timetoken == timetoken {
                self.rings.remove(&target);
                return Some(CHANNEL);
            }
        }
    }
}

const _: () = assert!(OVERHEAD > size_of::<(Target, Timetoken)>());
