//! Keys: what stands first in the topics of Emitter clients, and says what they may do.

mod key;
mod keyring;
mod licence;
mod murmur;
mod own;
mod permissions;
mod scope;
mod shown;
mod target;

pub(crate) use self::{
    keyring::{Held, Keyring},
    licence::Licence,
    own::OwnKeys,
    permissions::Permissions,
    shown::{Shown, ShownKeys},
    target::{InvalidTarget, Pattern},
};
