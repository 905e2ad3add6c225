//! Texts in addresses.

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

/// The value of a query parameter, decoded; the first one counts. Outer none: it is not UTF-8.
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Option<Option<Cow<'q, str>>> {
    match raw_parameter(query, name) {
        Some(value) => decode(value).map(Some),
        None => Some(None),
    }
}

/// The value of a query parameter, as it came. A poll asks for eight, most of which are not there.
fn raw_parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut rest = query;
    loop {
        let end = memchr(b'&', rest.as_bytes());
        let pair = &rest[..end.unwrap_or(rest.len())];
        if let Some(value) = pair.strip_prefix(name) {
            if value.is_empty() {
                return Some("");
            }
            if let Some(value) = value.strip_prefix('=') {
                return Some(value);
            }
        }
        rest = &rest[end? + 1..];
    }
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

    #[test]
    fn the_first_of_repeated_parameters_counts() {
        let query = "a=1&tt&b=x%2Cy&a=2&c=%FF";
        let value = |name| parameter(query, name).map(|value| value.map(Cow::into_owned));
        assert_eq!(value("a"), Some(Some("1".into())));
        assert_eq!(value("tt"), Some(Some(String::new())));
        assert_eq!(value("b"), Some(Some("x,y".into())));
        assert_eq!(value("d"), Some(None));
        assert_eq!(value("t"), Some(None));
        assert_eq!(value("c"), None);
    }
}
