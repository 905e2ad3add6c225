//! Keys of our own format.
//!
//! A key is 45 bytes in URL-safe base64, 60 characters that begin with `pw`:
//!
//! | bytes | |
//! |---|---|
//! | 0-1 | 0xa7, 0x01: what it is, and the version |
//! | 2 | permissions |
//! | 3-6 | the second since 1970 in which it ends, 0 for never |
//! | 7-9 | which levels of the target are texts; the highest bit: it is for one depth only |
//! | 10 | levels of the target |
//! | 11-13 | random, so that no two keys are the same |
//! | 14-28 | the first bytes of the SHA-256 of the target |
//! | 29-44 | the first bytes of the HMAC-SHA-256 of everything before |

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    key::Key,
    permissions::Permissions,
    target::{DIGEST_LENGTH, Digest, Pattern, Target},
};

/// Characters of a key.
pub(crate) const KEY_LENGTH: usize = 60;

const BYTES: usize = 45;
const SIGNED: usize = 29;
const HEAD: [u8; 2] = [0xa7, 0x01];
const EXACT: u32 = 1 << 23;

/// Makes keys, and knows them again.
#[derive(Clone)]
pub(crate) struct OwnKeys {
    signer: Hmac<Sha256>,
    master: [u8; 32],
}

impl OwnKeys {
    /// Keys that this secret signs; it is the master key too.
    pub(crate) fn new(secret: &str) -> Self {
        // What signs is derived, so that no use of the secret tells of another.
        let key = hmac(secret.as_bytes(), b"polywire emitter keys 1");
        Self {
            master: hmac(&key, secret.as_bytes()),
            signer: Hmac::new_from_slice(&key).expect("a key may have any length"),
        }
    }

    pub(crate) fn is_master(&self, text: &str) -> bool {
        let mut mac = self.signer.clone();
        mac.update(text.as_bytes());
        mac.verify_slice(&self.master).is_ok()
    }

    /// A new key; it ends after this second.
    pub(crate) fn make(
        &self,
        permissions: Permissions,
        target: &Pattern<'_>,
        expires: Option<u32>,
    ) -> String {
        let target = Target::own(target);
        let Digest::Own { depth, digest } = target.digest else {
            unreachable!("a target of ours has our digest");
        };
        let mut bytes = [0; BYTES];
        let fixed = target.fixed | if target.is_exact { EXACT } else { 0 };
        bytes[..2].copy_from_slice(&HEAD);
        bytes[2] = permissions.without(Permissions::MASTER).bits();
        bytes[3..7].copy_from_slice(&expires.unwrap_or(0).to_be_bytes());
        bytes[7..10].copy_from_slice(&fixed.to_be_bytes()[1..]);
        bytes[10] = depth;
        bytes[11..14].copy_from_slice(&rand::random::<[u8; 3]>());
        bytes[14..SIGNED].copy_from_slice(&digest);
        let mut mac = self.signer.clone();
        mac.update(&bytes[..SIGNED]);
        let signature = mac.finalize().into_bytes();
        bytes[SIGNED..].copy_from_slice(&signature[..BYTES - SIGNED]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The key that a text is, if we made it.
    pub(crate) fn read(&self, text: &str) -> Option<Key> {
        let mut bytes = [0; BYTES];
        if text.len() != KEY_LENGTH {
            return None;
        }
        BASE64_URL_SAFE_NO_PAD
            .decode_slice_unchecked(text, &mut bytes)
            .ok()?;
        let (signed, signature) = bytes.split_at(SIGNED);
        let mut mac = self.signer.clone();
        mac.update(signed);
        mac.verify_truncated_left(signature).ok()?;
        if signed[..2] != HEAD {
            return None;
        }
        let number = |place: std::ops::Range<usize>| {
            let bytes = signed[place].iter();
            bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
        };
        let fixed = number(7..10);
        let mut digest = [0; DIGEST_LENGTH];
        digest.copy_from_slice(&signed[14..]);
        Some(Key {
            permissions: Permissions::from_bits(signed[2]),
            expires: Some(u64::from(number(3..7))).filter(|end| *end != 0),
            target: Target {
                is_exact: fixed & EXACT != 0,
                fixed: fixed & !EXACT,
                digest: Digest::Own {
                    depth: signed[10],
                    digest,
                },
            },
        })
    }
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::RngExt;

    use super::*;

    fn target(text: &str) -> Pattern<'_> {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn a_key_says_what_it_was_made_for() {
        let keys = OwnKeys::new("a secret");
        let rw = Permissions::READ | Permissions::WRITE;
        let text = keys.make(rw, &target("a/b/"), Some(77));
        assert!(text.starts_with("pw") && text.len() == KEY_LENGTH, "{text}");
        let key = keys.read(&text).unwrap();
        assert_eq!((key.permissions, key.expires), (rw, Some(77)));
        assert!(key.target.covers("a/b") && !key.target.covers("a"));
        assert_ne!(text, keys.make(rw, &target("a/b/"), Some(77)));
        assert!(OwnKeys::new("another").read(&text).is_none());
        assert!(keys.is_master("a secret") && !keys.is_master("a secreT"));
        assert!(keys.read("a secret").is_none() && !keys.is_master(&text));
    }

    #[test]
    fn no_key_is_a_masters() {
        let keys = OwnKeys::new("a secret");
        let text = keys.make(Permissions::from_bits(0xff), &target("#/"), None);
        let key = keys.read(&text).unwrap();
        assert_eq!(key.permissions, Permissions::from_bits(0xfe));
    }

    /// One character changed, exchanged, added or taken away, many times.
    #[test]
    fn a_million_mutations_are_refused() {
        const CHARACTERS: &[u8] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let keys = OwnKeys::new("a secret");
        let text = keys.make(Permissions::READ, &target("a/b/"), None);
        let mut random = rand::rng();
        for _ in 0..1_000_000 {
            let mut mutant = text.clone().into_bytes();
            for _ in 0..random.random_range(1..4) {
                let place = random.random_range(0..mutant.len());
                let character = CHARACTERS[random.random_range(0..CHARACTERS.len())];
                match random.random_range(0..8) {
                    0 => mutant.insert(place, character),
                    1 => drop(mutant.remove(place)),
                    2 => {
                        let other = random.random_range(0..mutant.len());
                        mutant.swap(place, other);
                    }
                    _ => mutant[place] = character,
                }
            }
            let mutant = String::from_utf8(mutant).unwrap();
            assert!(mutant == text || keys.read(&mutant).is_none(), "{mutant}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_not(text in "\\PC{0,80}", key in "pwE[A-Za-z0-9_-]{57}") {
            let keys = OwnKeys::new("a secret");
            prop_assert!(keys.read(&text).is_none() && keys.read(&key).is_none());
        }
    }
}
