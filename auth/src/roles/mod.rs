//! Roles, and who has them by a password or a key.

mod book;
mod hash;
mod key;
mod passwords;
mod policy;
mod role;
mod settings;
mod source;
mod written;

#[cfg(test)]
mod samples;

pub use self::{
    hash::hash_password,
    key::RoleKeySettings,
    policy::Roles,
    role::RoleSettings,
    settings::RolesSettings,
    source::RoleSource,
    written::{UserSettings, WrittenRoles},
};
