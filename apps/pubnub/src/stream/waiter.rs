//! Waiters: polls that wait for something to come.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

/// One poll that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    id: u64,
    woken: Notify,
}

impl Waiter {
    pub(crate) fn new() -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            woken: Notify::new(),
        })
    }

    /// Ready when it was woken since the last time.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }

    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }
}

/// Those who wait at one place. Mostly it is one, for whom a map would take many times as much.
#[derive(Debug, Default)]
pub(super) enum Waiters {
    #[default]
    None,
    One(Arc<Waiter>),
    // Boxed: there are two in every stream.
    #[allow(clippy::box_collection)]
    Many(Box<HashMap<u64, Arc<Waiter>, RandomState>>),
}

impl Waiters {
    pub(super) fn add(&mut self, waiter: &Arc<Waiter>) {
        match self {
            Self::Many(many) => {
                many.insert(waiter.id, waiter.clone());
            }
            Self::One(one) if one.id != waiter.id => {
                let both = [one.clone(), waiter.clone()].map(|waiter| (waiter.id, waiter));
                *self = Self::Many(Box::new(both.into_iter().collect()));
            }
            Self::None | Self::One(_) => *self = Self::One(waiter.clone()),
        }
    }

    pub(super) fn remove(&mut self, waiter: &Waiter) {
        match self {
            Self::None => {}
            Self::One(one) => {
                if one.id == waiter.id {
                    *self = Self::None;
                }
            }
            // Those who were woken are not here any more: they will be back, and the room stays.
            Self::Many(many) => {
                if many.remove(&waiter.id).is_some() && many.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(_) => false,
            Self::Many(many) => many.is_empty(),
        }
    }

    /// Moves them all to `woken`: who wants to go on waiting says so again.
    pub(super) fn take(&mut self, woken: &mut Vec<Arc<Waiter>>) {
        match self {
            Self::None => {}
            Self::One(_) => {
                if let Self::One(one) = std::mem::take(self) {
                    woken.push(one);
                }
            }
            Self::Many(many) => woken.extend(many.drain().map(|(_, waiter)| waiter)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_many_each_is_woken_once() {
        let all = [(); 3].map(|()| Waiter::new());
        for count in 0..=all.len() {
            let mut waiters = Waiters::default();
            for waiter in &all[..count] {
                waiters.add(waiter);
                waiters.add(waiter);
            }
            assert_eq!(waiters.is_empty(), count == 0);
            let mut woken = Vec::new();
            waiters.take(&mut woken);
            woken.sort_by_key(|waiter| waiter.id);
            let ids = |waiters: &[Arc<Waiter>]| waiters.iter().map(|w| w.id).collect::<Vec<_>>();
            assert_eq!(ids(&woken), ids(&all[..count]));
            assert!(waiters.is_empty());
            for waiter in &all[..count] {
                waiters.add(waiter);
            }
            for waiter in &all {
                waiters.remove(waiter);
            }
            assert!(matches!(waiters, Waiters::None));
        }
    }
}
