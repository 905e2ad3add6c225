//! Due times of presence: the leases to look at, by the second.

use std::{collections::BTreeMap, time::Instant};

use parking_lot::Mutex;

use crate::{channel::Channel, identity::ClientId};

/// Members to be looked at, by the second in which that is due: many members cost no more each second
/// than those whose time has come.
#[derive(Debug)]
pub(super) struct Due {
    began: Instant,
    seconds: Mutex<BTreeMap<u64, Vec<(Channel, ClientId)>>>,
}

impl Default for Due {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            seconds: Mutex::default(),
        }
    }
}

impl Due {
    /// Notes a look in the second after `end`.
    pub(super) fn note(&self, end: Instant, channel: Channel, client: ClientId) {
        let second = self.second(end) + 1;
        let mut seconds = self.seconds.lock();
        seconds.entry(second).or_default().push((channel, client));
    }

    /// Takes what is due.
    pub(super) fn take(&self, now: Instant) -> Vec<(Channel, ClientId)> {
        let now = self.second(now);
        let due = {
            let mut seconds = self.seconds.lock();
            let later = seconds.split_off(&(now + 1));
            std::mem::replace(&mut *seconds, later)
        };
        due.into_values().flatten().collect()
    }

    fn second(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_secs()
    }
}
