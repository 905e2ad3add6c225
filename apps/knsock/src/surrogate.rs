//! Halves of characters.

use memchr::memchr;

/// True when a JSON text has an escaped UTF-16 surrogate without its other half. JSON's grammar allows it, and
/// Python writes it; but it is no text, and must not reach those who expect one.
pub(crate) fn has_lone_surrogate(json: &str) -> bool {
    let mut rest = json.as_bytes();
    // In valid JSON a backslash begins an escape, and nothing else does.
    while let Some(at) = memchr(b'\\', rest) {
        rest = &rest[at..];
        match escaped_unit(rest) {
            Some(0xd800..=0xdbff) => match escaped_unit(&rest[6..]) {
                Some(0xdc00..=0xdfff) => rest = &rest[12..],
                _ => return true,
            },
            Some(0xdc00..=0xdfff) => return true,
            Some(_) => rest = &rest[6..],
            None => rest = rest.get(2..).unwrap_or_default(),
        }
    }
    false
}

/// The value of `\uXXXX` at the beginning.
fn escaped_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_are_found() {
        for json in [
            r#""""#,
            r#""\ud83c\udf89""#,
            r#""\\ud800""#,
            r#""\u00e9\n\\""#,
            r#""\uD83C\uDF89\u0041""#,
        ] {
            assert!(!has_lone_surrogate(json), "{json}");
        }
        for json in [
            r#""\ud800""#,
            r#""\uDC00""#,
            r#""\ud83cx\udf89""#,
            r#""\ud83c\u0041""#,
            r#""\\\ud800""#,
            r#"{"a\ud800":1}"#,
        ] {
            assert!(has_lone_surrogate(json), "{json}");
        }
    }
}
