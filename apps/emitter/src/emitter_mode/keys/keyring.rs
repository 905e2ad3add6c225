//! The keyring: what a text in the place of a key is.

use polywire_core::CredentialId;
use sha2::{Digest, Sha256};

use super::{
    key::Key,
    licence::Licence,
    own::{KEY_LENGTH, OwnKeys},
    permissions::Permissions,
    target::Pattern,
};

/// What the ids of keys begin with.
const NAME: &str = "emitter";

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
}

impl Keyring {
    pub(crate) fn new(own: OwnKeys, licence: Option<Licence>) -> Self {
        Self { own, licence }
    }

    /// What a text is; `None` for what is no key, or one that is over. One that was banned is not told from others here.
    pub(crate) fn read(&self, text: &str) -> Option<Held> {
        match self.key(text) {
            Some(key) => (!key.is_over()).then_some(Held::Channel(key)),
            None => self.is_master(text).then_some(Held::Master),
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

    /// By what a key is known to be taken back: a digest, so that nothing that is kept can be used as a key. `None` for
    /// what was never a key of a channel.
    pub(crate) fn credential(&self, text: &str) -> Option<CredentialId> {
        self.key(text)?;
        let fingerprint = u128::from_be_bytes(self.fingerprint(text));
        Some(CredentialId::new(&format!("{NAME}:{fingerprint:032x}")))
    }

    pub(super) fn key(&self, text: &str) -> Option<Key> {
        let licensed = || self.licence.as_ref()?.read(text);
        self.own.read(text).or_else(licensed)
    }

    fn fingerprint(&self, text: &str) -> [u8; 16] {
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
        let mut short = [0; 16];
        let length = short.len();
        short.copy_from_slice(&digest[..length]);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn a_text_is_a_key_the_master_key_or_nothing() {
        let ring = Keyring::new(OwnKeys::new("a master key of tests"), None);
        let make = |ends: Option<u64>| {
            let ends = ends.map(|second| u32::try_from(second).unwrap());
            let target = Pattern::parse("a/#/").unwrap();
            ring.make(Permissions::READ, &target, ends)
        };
        let (key, other, over) = (make(None), make(None), make(Some(now() - 1)));
        assert!(matches!(ring.read(&key), Some(Held::Channel(_))));
        assert_eq!(ring.read(&over), None);
        assert_eq!(ring.read("a master key of tests"), Some(Held::Master));
        assert!(ring.looks_like_a_key(&key));
        assert!(!ring.looks_like_a_key("a master key of tests"));
        let id = |text| ring.credential(text);
        assert!(id(&key).is_some() && id(&key) == id(&key) && id(&key) != id(&other));
        assert!(!id(&key).unwrap().as_str().contains(&key));
        assert!(id("nothing").is_none() && id("a master key of tests").is_none());
    }
}
