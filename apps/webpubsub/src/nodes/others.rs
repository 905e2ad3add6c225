//! Which other nodes there are.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How often a node says that it is there.
pub(super) const HELLO: Duration = Duration::from_secs(5);

/// After so long without a word a node is not waited for any more.
const SILENCE: Duration = Duration::from_secs(16);

/// The other nodes, and when each was heard last.
#[derive(Debug, Default)]
pub(super) struct Others(Mutex<HashMap<u64, Instant>>);

impl Others {
    /// A node was heard. True when it is a new one.
    pub(super) fn heard(&self, node: u64) -> bool {
        self.0.lock().insert(node, Instant::now()).is_none()
    }

    pub(super) fn gone(&self, node: u64) {
        self.0.lock().remove(&node);
    }

    /// Those that were heard lately.
    pub(super) fn there(&self) -> BTreeSet<u64> {
        let mut others = self.0.lock();
        others.retain(|_, heard| heard.elapsed() < SILENCE);
        others.keys().copied().collect()
    }
}
