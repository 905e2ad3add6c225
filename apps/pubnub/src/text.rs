//! Texts in addresses.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes a part of an address; none when it is not UTF-8. A `+` stays what it is: the SDKs write a space
/// as `%20`.
pub(crate) fn decode(raw: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(raw).decode_utf8().ok()
}

/// The value of a query parameter, decoded; the first one counts. Outer none: it is not UTF-8.
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Option<Option<Cow<'q, str>>> {
    let mut pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    match pairs.find(|(key, _)| *key == name) {
        Some((_, value)) => decode(value).map(Some),
        None => Some(None),
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
        assert_eq!(value("c"), None);
    }
}
