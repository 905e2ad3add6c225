//! Changes that other nodes have not been told of.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::change::PresenceChange;

/// Changes that wait; with more, everybody who is present is told instead.
const WAITING_MAX: usize = 100_000;

/// How long a change waits at most to be told before the members are. Nodes that cannot be reached are known at once: this is
/// for a backend that hangs, and must be longer than it hesitates, or who is told would be contradicted by other nodes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of changes that go into one message, about.
const MESSAGE_BYTES: usize = 64 << 10;

/// Changes in their order, from the table to the task that tells other nodes.
#[derive(Debug)]
pub(crate) struct Changes {
    waiting: Mutex<UntoldChanges>,
    wake: Notify,
    /// How many were told.
    told: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct UntoldChanges {
    changes: Vec<PresenceChange>,
    noted: u64,
    /// More came than may wait.
    overflowed: bool,
}

/// What there is to tell.
pub(crate) struct ToTell {
    /// In parts that are not too long for a message.
    pub(crate) parts: Vec<Vec<PresenceChange>>,
    /// Changes are missing: everybody has to be told of.
    pub(crate) overflowed: bool,
    pub(crate) up_to: u64,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            wake: Notify::new(),
            told: watch::Sender::new(0),
        }
    }
}

impl Changes {
    pub(crate) fn note(&self, change: PresenceChange) {
        let mut waiting = self.waiting.lock();
        waiting.noted += 1;
        if waiting.changes.len() >= WAITING_MAX {
            waiting.changes = Vec::new();
            waiting.overflowed = true;
        }
        if !waiting.overflowed {
            waiting.changes.push(change);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Returns when there may be something to tell.
    pub(crate) async fn noted(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn take(&self) -> ToTell {
        let mut waiting = self.waiting.lock();
        let changes = std::mem::take(&mut waiting.changes);
        let overflowed = std::mem::take(&mut waiting.overflowed);
        let up_to = waiting.noted;
        drop(waiting);
        ToTell {
            parts: parts(changes),
            overflowed,
            up_to,
        }
    }

    pub(crate) fn tell(&self, up_to: u64) {
        self.told.send_replace(up_to);
    }

    /// Waits until everything noted so far was told, but not for long: when other nodes cannot be reached,
    /// members on this one are not to wait for them.
    pub(crate) async fn told(&self) {
        let noted = self.waiting.lock().noted;
        let mut told = self.told.subscribe();
        let waits = told.wait_for(|told| *told >= noted);
        // Neither the time-out nor the end of the task is an error to the caller.
        let _ = timeout(PATIENCE, waits).await;
    }
}

/// Cuts changes into parts that are not too long for a message.
pub(crate) fn parts(changes: Vec<PresenceChange>) -> Vec<Vec<PresenceChange>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for change in changes {
        bytes += change.bytes();
        part.push(change);
        if bytes >= MESSAGE_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, ClientId};

    #[tokio::test]
    async fn what_is_noted_is_taken_in_order_and_waited_for() {
        let changes = Changes::default();
        let client = ClientId::new("ann").unwrap();
        let channel = |n: usize| Channel::new(&format!("{n}")).unwrap();
        for n in 0..3000 {
            changes.note(PresenceChange::left(&channel(n), &client));
        }
        let taken = changes.take();
        assert!(taken.parts.len() > 1 && !taken.overflowed);
        let all: Vec<_> = taken.parts.iter().flatten().collect();
        assert_eq!(all.len(), 3000);
        assert_eq!(all[2999].membership().unwrap().0, channel(2999));
        changes.tell(taken.up_to);
        timeout(PATIENCE / 2, changes.told()).await.unwrap();
    }

    #[test]
    fn more_than_may_wait_is_not_kept() {
        let changes = Changes::default();
        let (channel, client) = (Channel::new("room").unwrap(), ClientId::new("ann").unwrap());
        for _ in 0..=WAITING_MAX {
            changes.note(PresenceChange::left(&channel, &client));
        }
        let taken = changes.take();
        assert!(taken.overflowed && taken.parts.is_empty());
        assert!(!changes.take().overflowed);
    }
}
