//! Keys: what stands first in the topics of Emitter clients, and says what they may do.

mod bans;
mod key;
mod keyring;
mod licence;
mod murmur;
mod own;
mod permissions;
mod target;

pub(crate) use self::{
    bans::{Bans, Fingerprint},
    key::Key,
    keyring::{Held, Keyring},
    licence::Licence,
    own::OwnKeys,
    permissions::Permissions,
    target::{InvalidTarget, Pattern},
};
