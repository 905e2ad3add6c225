//! The book of roles, users and keys, checked.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use polywire_core::{ClientId, CredentialId, Grant, settings::Problem};

use super::{hash::PasswordHash, key::RoleKeySettings, role::RoleSettings, written::WrittenRoles};

/// Roles, users and keys, checked.
#[derive(Debug, Default)]
pub(crate) struct Book {
    roles: BTreeMap<String, RoleSettings>,
    users: HashMap<String, User>,
    keys: HashMap<[u8; 32], Key>,
}

#[derive(Debug)]
pub(crate) struct User {
    pub(crate) client: ClientId,
    pub(crate) hash: PasswordHash,
    pub(crate) roles: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: CredentialId,
    pub(crate) client: Option<ClientId>,
    pub(crate) roles: Vec<String>,
}

impl Book {
    /// What is written, if all of it is right.
    pub(crate) fn new(written: &WrittenRoles) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut book = Self {
            roles: written.role.clone(),
            ..Self::default()
        };
        for (name, role) in &written.role {
            let section = format!("role.{name}");
            let found = role.problems().into_iter();
            problems.extend(found.map(|problem| problem.within(&section)));
        }
        for (index, user) in written.users.iter().enumerate() {
            let section = format!("users.{index}");
            let mut refuse = |problem: Problem| problems.push(problem.within(&section));
            book.know_roles(&user.roles, &mut refuse);
            let client = ClientId::new(&user.name);
            let client = client.map_err(|_| refuse(Problem::new("name", "must not be empty")));
            let hash = PasswordHash::parse(user.password.as_ref()).map_err(&mut refuse);
            if user.name.contains(':') {
                let message = "must not have a colon: it stands between name and password";
                refuse(Problem::new("name", message));
            }
            let (Ok(client), Ok(hash)) = (client, hash) else {
                continue;
            };
            let roles = user.roles.clone();
            let user_of = User {
                client,
                hash,
                roles,
            };
            if book.users.insert(user.name.clone(), user_of).is_some() {
                let message = format!("there are two users {:?}", user.name);
                refuse(Problem::new("name", message));
            }
        }
        for (index, key) in written.keys.iter().enumerate() {
            let section = format!("keys.{index}");
            let mut refuse = |problem: Problem| problems.push(problem.within(&section));
            book.know_roles(&key.roles, &mut refuse);
            book.add_key(key, &mut refuse);
        }
        if problems.is_empty() {
            Ok(book)
        } else {
            Err(problems)
        }
    }

    fn know_roles(&self, names: &[String], refuse: &mut dyn FnMut(Problem)) {
        if let Some(name) = names.iter().find(|name| !self.roles.contains_key(*name)) {
            let message = format!("there is no role {name:?}: define it as role.{name}");
            refuse(Problem::new("roles", message));
        }
    }

    fn add_key(&mut self, key: &RoleKeySettings, refuse: &mut dyn FnMut(Problem)) {
        if key.id.is_empty() {
            refuse(Problem::new("id", "must not be empty"));
        }
        let client = key.client.as_deref().map(ClientId::new).transpose();
        let client = client.map_err(|_| refuse(Problem::new("client", "must not be empty")));
        let id = CredentialId::new(&key.id);
        if self.keys.values().any(|other| other.id == id) {
            let message = format!("there are two keys {:?}", key.id);
            refuse(Problem::new("id", message));
        }
        let digest = key.digest().map_err(&mut *refuse);
        let (Ok(client), Ok(digest)) = (client, digest) else {
            return;
        };
        let roles = key.roles.clone();
        if let Some(other) = self.keys.insert(digest, Key { id, client, roles }) {
            let message = format!("is the same as that of {:?}", other.id.as_str());
            refuse(Problem::new("key", message));
        }
    }

    /// True when nobody can come in by it.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.keys.is_empty()
    }

    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    pub(crate) fn key(&self, digest: &[u8; 32]) -> Option<&Key> {
        self.keys.get(digest)
    }

    /// The grants of these roles to a client of an app, until a time. Roles that are not known give nothing.
    pub(crate) fn grants<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        app: &str,
        client: Option<&ClientId>,
        expires_at: Option<SystemTime>,
    ) -> Vec<Grant> {
        let known = names.into_iter().filter_map(|name| self.roles.get(name));
        known
            .flat_map(|role| role.grants(app, client, expires_at))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::samples::{HASH, written};

    #[test]
    fn everything_that_is_wrong_is_named() {
        let wrong = format!(
            "
            role.a.read = 'a*'
            users = [
                {{ name = '', password = 'x', roles = 'a' }},
                {{ name = 'ann', password = '{HASH}', roles = ['a', 'b'] }},
                {{ name = 'ann', password = '{HASH}' }},
                {{ name = 'a:b', password = '{HASH}' }},
            ]
            keys = [
                {{ id = '', key = '0123456789abcdef', roles = 'c' }},
                {{ id = 'k', key = '0123456789abcdef', client = '' }},
                {{ id = 'k', key = '0123456789abcdef' }},
            ]
            "
        );
        let problems = Book::new(&written(&wrong)).unwrap_err();
        let named: Vec<_> = problems.iter().map(|problem| &*problem.setting).collect();
        assert_eq!(
            named,
            [
                "role.a.read",
                "users.0.name",
                "users.0.password",
                "users.1.roles",
                "users.2.name",
                "users.3.name",
                "keys.0.roles",
                "keys.0.id",
                "keys.1.client",
                "keys.2.key",
            ],
            "{problems:?}"
        );
    }
}
