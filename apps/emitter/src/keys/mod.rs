//! Keys: what stands first in the topics of Emitter clients, and says what they may do.

mod bans;
mod keyring;
mod licence;
mod own;
mod permissions;
mod target;

pub(crate) use self::{
    bans::{Bans, Fingerprint},
    keyring::{Held, Key, Keyring},
    licence::Licence,
    own::OwnKeys,
    permissions::Permissions,
    target::{InvalidTarget, Pattern},
};

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whole seconds since 1970.
pub(crate) fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.unwrap_or(Duration::ZERO).as_secs()
}
