//! Keys of existing Emitter installations, known by their licence.

mod cipher;
mod layout;
mod text;

pub(crate) use self::text::InvalidLicence;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use self::{cipher::BYTES, layout::Layout, text::Content};
use super::{key::Key, permissions::Permissions};

/// Whose keys they are, and how they are encrypted.
///
/// None of the ciphers tells whether a key was changed: whoever has a key may be able to make others of it. What
/// is made here are keys of our own format.
#[derive(Clone)]
pub(crate) struct Licence(Content);

impl Licence {
    /// Reads the text of a licence, of any of the three versions.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidLicence> {
        text::parse(text).map(Self)
    }

    /// The key that a text is, if it is one of this licence.
    pub(super) fn read(&self, text: &str) -> Option<Key> {
        let layout = self.layout(text)?;
        let key = layout.key();
        (key.permissions != Permissions::MASTER).then_some(key)
    }

    pub(super) fn is_master(&self, text: &str) -> bool {
        self.layout(text)
            .is_some_and(|layout| layout.is_master() && !layout.is_over())
    }

    /// What makes a key this one, without the salt.
    pub(super) fn essence(&self, text: &str) -> Option<[u8; BYTES - 2]> {
        self.layout(text).map(|layout| layout.essence())
    }

    fn layout(&self, text: &str) -> Option<Layout> {
        let mut bytes = [0; BYTES];
        if text.len() != 32 {
            return None;
        }
        BASE64_URL_SAFE_NO_PAD
            .decode_slice_unchecked(text, &mut bytes)
            .ok()?;
        let layout = Layout(self.0.cipher.decrypt(bytes));
        let is_ours = layout.index() == self.0.index
            && layout.contract() == self.0.contract
            && layout.signature() == self.0.signature;
        is_ours.then_some(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "AAECAwQFBgcICQoLDA0ODwECAwQKCwwNAAAAAAAAAAI:1";

    /// The text of a licence of version 2 or 3, with the contract of the known keys.
    fn packed(nonce_bytes: u8, version: u8) -> String {
        let mut plain = vec![32];
        plain.extend(0..32_u8);
        plain.push(nonce_bytes);
        plain.extend(0..nonce_bytes);
        for mut number in [0x0102_0304_u32, 0x0a0b_0c0d, 1] {
            while number >= 0x80 {
                plain.push((number & 0x7f) as u8 | 0x80);
                number >>= 7;
            }
            plain.push(number as u8);
        }
        let packed = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        format!("{}:{version}", BASE64_URL_SAFE_NO_PAD.encode(packed))
    }

    #[test]
    fn known_keys_of_the_three_versions_are_accepted() {
        for (licence, key) in [
            (V1.to_owned(), "jfN5P_MIf1wXpiNqKHTd2SUbxnJuiTJg"),
            (packed(24, 2), "boJgrtycxUKFXNFgxDP5Mojlcw1zhsVH"),
            (packed(16, 3), "EjSW0vtSJwmtAmnG2B6Xf7UMGCHuEDvw"),
        ] {
            let licence = Licence::parse(&licence).unwrap();
            let key = licence.read(key).unwrap();
            assert_eq!(key.permissions, Permissions::of_letters("rw"));
            assert_eq!(key.expires, None);
            assert!(key.target.covers("a/b"));
            for other in ["a", "a/c", "a/b/c", "a/+"] {
                assert!(!key.target.covers(other), "{other}");
            }
            assert!(licence.read(&"A".repeat(32)).is_none());
            assert!(!licence.is_master(&"A".repeat(32)));
        }
    }

    #[test]
    fn texts_that_are_no_licences() {
        for text in [
            "",
            ":",
            "AAEC",
            "AAEC:1",
            "AAEC:2",
            "!!!!:3",
            &(V1.to_owned() + "0"),
            "AAEC:9",
        ] {
            assert!(Licence::parse(text).is_err(), "{text}");
        }
        let bare = V1.strip_suffix(":1").unwrap();
        assert!(
            Licence::parse(bare).is_ok(),
            "without a version it is the first"
        );
    }
}
