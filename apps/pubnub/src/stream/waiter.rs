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

    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }
}

/// Those who wait at one place.
#[derive(Debug, Default)]
pub(super) struct Waiters(HashMap<u64, Arc<Waiter>, RandomState>);

impl Waiters {
    pub(super) fn add(&mut self, waiter: &Arc<Waiter>) {
        self.0.insert(waiter.id, waiter.clone());
    }

    pub(super) fn remove(&mut self, waiter: &Waiter) {
        // Those who were woken are not here any more: they will be back, and the room stays.
        if self.0.remove(&waiter.id).is_some() && self.0.is_empty() {
            self.0 = HashMap::default();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Moves them all to `woken`: who wants to go on waiting says so again.
    pub(super) fn take(&mut self, woken: &mut Vec<Arc<Waiter>>) {
        woken.extend(self.0.drain().map(|(_, waiter)| waiter));
    }
}
