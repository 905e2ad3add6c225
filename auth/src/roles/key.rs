//! Keys: secrets of programs, which are random and long, so that a plain digest of them is enough.

use polywire_core::settings::{Problem, Secret, text, texts};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Characters of a key, at least.
const KEY_BYTES_MIN: usize = 16;

/// `[[roles.keys]]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct RoleKeySection")]
pub struct RoleKeySettings {
    /// What it is called; by this name it can be taken back.
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// The key itself, of 16 characters at least. Default none.
    pub key: Option<Secret>,
    /// In its place the SHA-256 of the key in hexadecimal digits, as `sha256sum` prints it. Default none.
    pub sha256: Option<String>,
    /// The client that whoever has it is. Default none: it proves nobody's id.
    pub client: Option<String>,
    /// Its roles, as a name or a list of names.
    #[serde(deserialize_with = "texts")]
    pub roles: Vec<String>,
}

impl RoleKeySettings {
    /// The digest of the key.
    pub(crate) fn digest(&self) -> Result<[u8; 32], Problem> {
        match (&self.key, &self.sha256) {
            (Some(key), None) if key.reveal().len() >= KEY_BYTES_MIN => Ok(digest(key.reveal())),
            (Some(_), None) => {
                let message = format!(
                    "fewer than {KEY_BYTES_MIN} characters can be guessed: use random ones, as `openssl rand -hex 16` prints them"
                );
                Err(Problem::new("key", message))
            }
            (None, Some(digits)) => from_hex(digits).ok_or_else(|| {
                let message =
                    "use the 64 hexadecimal digits that `printf %s KEY | sha256sum` prints";
                Problem::new("sha256", message)
            }),
            (None, None) => Err(Problem::new("key", "set it, or its sha256")),
            (Some(_), Some(_)) => {
                let message = "key is set too: leave one of the two out";
                Err(Problem::new("sha256", message))
            }
        }
    }
}

/// The digest by which a key is found. How long that takes tells nothing of the key.
pub(crate) fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..][..2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_itself_or_by_its_digest() {
        let key = RoleKeySettings {
            key: Some(Secret::new("0123456789abcdef")),
            ..RoleKeySettings::default()
        };
        let hashed = RoleKeySettings {
            sha256: Some("9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f".into()),
            ..RoleKeySettings::default()
        };
        assert_eq!(key.digest(), hashed.digest());
        let both = RoleKeySettings {
            sha256: hashed.sha256.clone(),
            ..key.clone()
        };
        let short = RoleKeySettings {
            key: Some(Secret::new("0123456789abcde")),
            ..RoleKeySettings::default()
        };
        let signed = RoleKeySettings {
            sha256: Some("+f".repeat(32)),
            ..RoleKeySettings::default()
        };
        for (wrong, named) in [
            (both, "sha256"),
            (short, "key"),
            (signed, "sha256"),
            (RoleKeySettings::default(), "key"),
        ] {
            assert_eq!(wrong.digest().unwrap_err().setting, named);
        }
    }
}
