//! Keys that clients show, as what the channel space knows rights by.

use std::sync::Arc;

use polywire_core::{Grant, Identity, Permissions as Rights, Scope};

use super::{key::Key, keyring::Keyring, permissions::Permissions, scope::KeyScope};

/// Keys that a connection has shown last, so that none is read for each message.
const KEPT_MAX: usize = 8;

/// What each permission gives.
const RIGHTS: [(Permissions, Rights); 4] = [
    (Permissions::READ, Rights::READ),
    (Permissions::WRITE, Rights::WRITE),
    (Permissions::LOAD, Rights::HISTORY),
    (Permissions::PRESENCE, Rights::PRESENCE),
];

/// A key that somebody shows.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// What becomes of a message: it is stored, where that is asked for.
    pub(crate) stores: bool,
    /// Whose rights the key gives: nobody's for what is no key.
    pub(crate) identity: Arc<Identity>,
}

/// The keys that a connection has shown last.
#[derive(Debug, Default)]
pub(crate) struct ShownKeys(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    text: Box<str>,
    group: Option<Box<str>>,
    shown: Shown,
}

impl ShownKeys {
    /// Whose rights a text gives, shown for a share group or none.
    pub(crate) fn of(&mut self, keyring: &Keyring, text: &str, group: Option<&str>) -> Shown {
        let is_it = |kept: &Kept| *kept.text == *text && kept.group.as_deref() == group;
        if let Some(place) = self.0.iter().position(is_it) {
            // The one that was shown last stands last.
            self.0[place..].rotate_left(1);
        } else {
            let Some(shown) = Shown::of(keyring, text, group) else {
                return Shown::nothing();
            };
            if self.0.len() >= KEPT_MAX {
                self.0.remove(0);
            }
            if self.0.capacity() == 0 {
                // Mostly it is one.
                self.0.reserve_exact(1);
            }
            self.0.push(Kept {
                text: text.into(),
                group: group.map(Into::into),
                shown,
            });
        }
        self.0
            .last()
            .map_or_else(Shown::nothing, |kept| kept.shown.clone())
    }
}

impl Shown {
    /// Whose rights a text gives that stands in the place of a key.
    pub(crate) fn once(keyring: &Keyring, text: &str) -> Self {
        Self::of(keyring, text, None).unwrap_or_else(Self::nothing)
    }

    /// What is no key, or no such one.
    fn nothing() -> Self {
        Self {
            stores: false,
            identity: Arc::default(),
        }
    }

    /// `None` for what is no key of a channel.
    fn of(keyring: &Keyring, text: &str, group: Option<&str>) -> Option<Self> {
        let (key, credential) = (keyring.key(text)?, keyring.credential(text)?);
        Some(Self {
            stores: key.permissions.contains(Permissions::STORE),
            identity: Arc::new(Identity {
                credential: Some(credential),
                expires_at: key.expires_at(),
                grants: grant(&key, group).into_iter().collect(),
                ..Identity::default()
            }),
        })
    }
}

/// A key to make others with gives nothing itself.
fn grant(key: &Key, group: Option<&str>) -> Option<Grant> {
    let makes_keys = [Permissions::EXTEND, Permissions::MASTER];
    if makes_keys.iter().any(|one| key.permissions.contains(*one)) {
        return None;
    }
    let given = RIGHTS
        .iter()
        .filter(|(permission, _)| key.permissions.contains(*permission));
    let rights = given.fold(Rights::NONE, |all, (_, right)| all | *right);
    let scope = KeyScope {
        target: key.target,
        group: group.map(Into::into),
    };
    Some(Grant::new(Scope::Matching(Arc::new(scope)), rights))
}

#[cfg(test)]
mod tests {
    use polywire_core::Channel;

    use super::*;
    use crate::{
        clock::now,
        emitter_mode::keys::{own::OwnKeys, target::Pattern},
    };

    fn ring() -> Keyring {
        Keyring::new(OwnKeys::new("a master key of tests"), None)
    }

    fn make(ring: &Keyring, letters: &str, ends: Option<u64>) -> String {
        let ends = ends.map(|second| u32::try_from(second).unwrap());
        let target = Pattern::parse("a/#/").unwrap();
        ring.make(Permissions::of_letters(letters), &target, ends)
    }

    fn allows(ring: &Keyring, text: &str, rights: Rights, channel: &str) -> bool {
        let channel = Channel::new(channel).unwrap();
        Shown::once(ring, text).identity.allows(rights, &channel)
    }

    #[test]
    fn a_key_gives_what_it_says_until_it_is_over() {
        let ring = ring();
        let key = make(&ring, "r", None);
        assert!(allows(&ring, &key, Rights::READ, "a/b"));
        assert!(!allows(&ring, &key, Rights::WRITE, "a/b"));
        assert!(!allows(&ring, &key, Rights::HISTORY, "a/b"));
        assert!(!allows(&ring, &key, Rights::READ, "b"));
        let loads = make(&ring, "lp", None);
        assert!(allows(&ring, &loads, Rights::HISTORY, "a"));
        assert!(allows(&ring, &loads, Rights::PRESENCE, "a"));
        let over = make(&ring, "r", Some(now() - 1));
        assert!(!allows(&ring, &over, Rights::READ, "a"));
        let later = make(&ring, "r", Some(now() + 60));
        assert!(allows(&ring, &later, Rights::READ, "a"));
        let extend = make(&ring, "re", None);
        assert!(!allows(&ring, &extend, Rights::READ, "a"));
        for none in ["a master key of tests", "", "x"] {
            assert!(!allows(&ring, none, Rights::READ, "a"), "{none}");
        }
    }

    #[test]
    fn a_key_that_is_shown_again_is_the_same_credential() {
        let (ring, mut shown) = (ring(), ShownKeys::default());
        let keys: Vec<_> = (0..20).map(|_| make(&ring, "r", None)).collect();
        let first = shown.of(&ring, &keys[0], None).identity;
        assert!(Arc::ptr_eq(
            &first,
            &shown.of(&ring, &keys[0], None).identity
        ));
        let of_group = shown.of(&ring, &keys[0], Some("g")).identity;
        assert!(!Arc::ptr_eq(&first, &of_group));
        assert_eq!(first.credential, of_group.credential);
        for key in &keys {
            assert!(shown.of(&ring, key, None).identity.credential.is_some());
            assert_eq!(shown.of(&ring, "no key", None).identity.credential, None);
            assert!(shown.0.len() <= KEPT_MAX);
        }
    }
}
