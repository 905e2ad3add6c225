//! Roles, users and keys, as they are written.

use std::collections::BTreeMap;

use polywire_core::settings::{Secret, text, texts};
use serde::Deserialize;

use super::{key::RoleKeySettings, role::RoleSettings};

/// `[[roles.users]]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct UserSection")]
pub struct UserSettings {
    /// The user's name, which is the id of the client.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// The argon2 hash of the password, as `polywire hash-password` prints it.
    pub password: Option<Secret>,
    /// The user's roles, as a name or a list of names.
    #[serde(deserialize_with = "texts")]
    pub roles: Vec<String>,
}

/// Roles, users and keys, as a file of their own has them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WrittenRoles {
    /// Roles by their names.
    pub role: BTreeMap<String, RoleSettings>,
    /// Users.
    pub users: Vec<UserSettings>,
    /// Keys.
    pub keys: Vec<RoleKeySettings>,
}
