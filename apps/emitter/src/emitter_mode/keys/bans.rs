//! Banned keys, as far as this node knows.

use std::collections::HashSet;

use parking_lot::RwLock;

/// By what a banned key is known: a digest, so that nothing that is kept can be used as a key.
pub(crate) type Fingerprint = [u8; 16];

/// The banned keys.
#[derive(Debug, Default)]
pub(crate) struct Bans(RwLock<HashSet<Fingerprint>>);

impl Bans {
    pub(super) fn contains(&self, fingerprint: impl FnOnce() -> Fingerprint) -> bool {
        let banned = self.0.read();
        // Mostly there is none, and nothing has to be digested.
        !banned.is_empty() && banned.contains(&fingerprint())
    }

    /// Bans a key, or lifts its ban.
    pub(crate) fn set(&self, key: Fingerprint, is_banned: bool) {
        let mut banned = self.0.write();
        if is_banned {
            banned.insert(key);
        } else {
            banned.remove(&key);
        }
    }
}
