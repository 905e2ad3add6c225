//! The keyring: what a text in the place of a key is.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    bans::{Bans, Fingerprint},
    key::Key,
    licence::Licence,
    own::{KEY_LENGTH, OwnKeys},
    permissions::Permissions,
    target::Pattern,
};

/// What somebody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Master,
    Channel(Key),
}

/// Knows all keys.
pub(crate) struct Keyring {
    own: OwnKeys,
    licence: Option<Licence>,
    bans: Arc<Bans>,
}

impl Keyring {
    pub(crate) fn new(own: OwnKeys, licence: Option<Licence>) -> Self {
        Self {
            own,
            licence,
            bans: Arc::default(),
        }
    }

    /// What a text is; `None` for what is no key, or one that is over or banned.
    pub(crate) fn read(&self, text: &str) -> Option<Held> {
        let Some(key) = self.key(text) else {
            return self.is_master(text).then_some(Held::Master);
        };
        let fingerprint = || self.fingerprint(text);
        (!key.is_over() && !self.bans.contains(fingerprint)).then_some(Held::Channel(key))
    }

    /// A key that gives `permissions` on a channel.
    pub(crate) fn permits(&self, text: &str, permissions: Permissions, path: &str) -> Option<Key> {
        match self.read(text)? {
            Held::Channel(key) => Some(key).filter(|key| key.allows(permissions, path)),
            Held::Master => None,
        }
    }

    pub(crate) fn is_master(&self, text: &str) -> bool {
        let licence = self.licence.as_ref();
        self.own.is_master(text) || licence.is_some_and(|known| known.is_master(text))
    }

    /// True for what can only be meant as a key, be it valid or not. Of a master key it says nothing: nobody may find out one
    /// here, where no guesses are counted, and no topic begins with one.
    pub(crate) fn looks_like_a_key(&self, text: &str) -> bool {
        (text.len() == KEY_LENGTH && text.starts_with("pwE")) || self.key(text).is_some()
    }

    /// A new key of our own format.
    pub(crate) fn make(
        &self,
        permissions: Permissions,
        target: &Pattern<'_>,
        expires: Option<u32>,
    ) -> String {
        self.own.make(permissions, target, expires)
    }

    /// By what a key is banned; `None` for what was never one.
    pub(crate) fn bannable(&self, text: &str) -> Option<Fingerprint> {
        self.key(text).map(|_| self.fingerprint(text))
    }

    pub(crate) fn bans(&self) -> &Arc<Bans> {
        &self.bans
    }

    fn key(&self, text: &str) -> Option<Key> {
        let licensed = || self.licence.as_ref()?.read(text);
        self.own.read(text).or_else(licensed)
    }

    fn fingerprint(&self, text: &str) -> Fingerprint {
        // The salt of an existing key may be changed by whoever has the key: it does not count.
        let essence = self
            .licence
            .as_ref()
            .and_then(|known| known.essence(text))
            .filter(|_| text.len() != KEY_LENGTH);
        let digest = match essence {
            Some(essence) => Sha256::digest(essence),
            None => Sha256::digest(text),
        };
        let mut short = Fingerprint::default();
        let length = short.len();
        short.copy_from_slice(&digest[..length]);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    fn ring() -> Keyring {
        Keyring::new(OwnKeys::new("a master key of tests"), None)
    }

    fn make(ring: &Keyring, letters: &str, expires: Option<u64>) -> String {
        let expires = expires.map(|second| u32::try_from(second).unwrap());
        let target = Pattern::parse("a/#/").unwrap();
        ring.make(Permissions::of_letters(letters), &target, expires)
    }

    #[test]
    fn a_key_gives_what_it_says_until_it_is_over() {
        let ring = ring();
        let key = make(&ring, "r", None);
        assert!(ring.permits(&key, Permissions::READ, "a/b").is_some());
        assert!(ring.permits(&key, Permissions::WRITE, "a/b").is_none());
        assert!(ring.permits(&key, Permissions::READ, "b").is_none());
        let over = make(&ring, "r", Some(now() - 1));
        assert_eq!(ring.read(&over), None);
        let later = make(&ring, "r", Some(now() + 60));
        assert!(ring.permits(&later, Permissions::READ, "a").is_some());
        let extend = make(&ring, "re", None);
        assert!(ring.permits(&extend, Permissions::READ, "a").is_none());
        assert_eq!(ring.read("a master key of tests"), Some(Held::Master));
        let master = ring.permits("a master key of tests", Permissions::READ, "a");
        assert_eq!(master, None);
    }

    #[test]
    fn a_ban_takes_a_key_back_and_can_be_lifted() {
        let ring = ring();
        let (key, other) = (make(&ring, "r", None), make(&ring, "r", None));
        let fingerprint = ring.bannable(&key).unwrap();
        ring.bans().set(fingerprint, true);
        assert!(ring.read(&key).is_none() && ring.read(&other).is_some());
        assert!(ring.looks_like_a_key(&key));
        assert!(!ring.looks_like_a_key("a master key of tests"));
        ring.bans().set(fingerprint, false);
        assert!(ring.read(&key).is_some());
        assert_eq!(ring.bannable("nothing"), None);
    }
}
