//! Texts: percent-decoded from addresses, written as JSON.

use std::borrow::Cow;

use memchr::memchr;
use percent_encoding::percent_decode_str;

/// Decodes a part of an address; none when it is not UTF-8. A `+` stays what it is: the SDKs write a space
/// as `%20`.
pub(crate) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if memchr(b'%', raw.as_bytes()).is_none() {
        return Some(Cow::Borrowed(raw));
    }
    percent_decode_str(raw).decode_utf8().ok()
}

/// Writes a text as JSON.
pub(crate) fn quote(text: &str) -> String {
    // A string always has a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_no_space() {
        assert_eq!(decode("a+b%2Bc%20d").as_deref(), Some("a+b+c d"));
        assert_eq!(decode("%FF"), None);
        assert_eq!(decode("%2").as_deref(), Some("%2"));
    }
}
