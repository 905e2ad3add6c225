//! Settings of roles, and of the policy that gives them to users and keys.

use std::{collections::BTreeMap, path::PathBuf};

use polywire_core::settings::{Problem, Settings, text};
use serde::Deserialize;

use super::{
    book::Book,
    key::RoleKeySettings,
    role::RoleSettings,
    written::{UserSettings, WrittenRoles},
};

/// `[roles]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct RolesSection")]
pub struct RolesSettings {
    /// `[roles.role.NAME]`
    pub role: BTreeMap<String, RoleSettings>,
    /// `[[roles.users]]`
    pub users: Vec<UserSettings>,
    /// `[[roles.keys]]`
    pub keys: Vec<RoleKeySettings>,
    /// A TOML file with more `role`, `users` and `keys`, which is read again when it changes. Default none.
    pub file: Option<PathBuf>,
    /// The query parameter with a key or with `user:password`, beside `Authorization` and the places that protocols have for
    /// it; with an empty text the query is not looked at. Default `token`.
    #[serde(deserialize_with = "text")]
    pub query: String,
    /// Passwords that are checked at once, at most: each takes a core, and the memory that its hash says. Default 2.
    pub hashes_max: usize,
    /// Seconds that a password which was right is remembered, so that not each request costs a check. Default 300.
    pub remember_secs: u64,
    /// Refuses a client that says to be somebody else than its password or key says; otherwise it gets the proven id. Default
    /// false.
    pub same_id: bool,
}

impl RolesSettings {
    /// What is written in the section itself.
    pub(crate) fn written(&self) -> WrittenRoles {
        WrittenRoles {
            role: self.role.clone(),
            users: self.users.clone(),
            keys: self.keys.clone(),
        }
    }
}

impl Default for RolesSettings {
    fn default() -> Self {
        Self {
            role: BTreeMap::new(),
            users: Vec::new(),
            keys: Vec::new(),
            file: None,
            query: "token".into(),
            hashes_max: 2,
            remember_secs: 300,
            same_id: false,
        }
    }
}

impl Settings for RolesSettings {
    /// A role that is in no section may be in the file.
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::zeros([("hashes_max", self.hashes_max == 0)]);
        if self.file.is_none() {
            problems.extend(Book::new(&self.written()).err().unwrap_or_default());
        }
        problems
    }
}
