//! Halves of characters.

use memchr::memchr;

/// What stands for half a character: U+FFFD, escaped, as long as what it replaces.
const REPLACEMENT: &str = "\\ufffd";

/// The text with U+FFFD for every escaped surrogate without its other half; `None` where there is none, which
/// costs one look for a backslash.
pub(super) fn without_lone_surrogates(json: &str) -> Option<String> {
    let mut lone = find_lone(json.as_bytes())?;
    let (mut whole, mut rest) = (String::with_capacity(json.len()), json);
    loop {
        whole.push_str(&rest[..lone]);
        whole.push_str(REPLACEMENT);
        rest = &rest[lone + REPLACEMENT.len()..];
        let Some(next) = find_lone(rest.as_bytes()) else {
            whole.push_str(rest);
            return Some(whole);
        };
        lone = next;
    }
}

/// Where the first escaped surrogate without its other half begins, in JSON or in what follows an escape of it.
fn find_lone(json: &[u8]) -> Option<usize> {
    let mut at = 0;
    // In valid JSON a backslash begins an escape, and nothing else does.
    while let Some(next) = memchr(b'\\', &json[at..]) {
        at += next;
        at += match escaped_unit(&json[at..]) {
            Some(0xd800..=0xdbff) => match escaped_unit(&json[at + 6..]) {
                Some(0xdc00..=0xdfff) => 12,
                _ => return Some(at),
            },
            Some(0xdc00..=0xdfff) => return Some(at),
            Some(_) => 6,
            // A text that is not known to be JSON may end here.
            None => 2.min(json.len() - at),
        };
    }
    None
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
            assert_eq!(without_lone_surrogates(json), None, "{json}");
        }
        for json in [
            r#""\ud800""#,
            r#""\uDC00""#,
            r#""\ud83cx\udf89""#,
            r#""\ud83c\u0041""#,
            r#""\\\ud800""#,
            r#"{"a\ud800":1}"#,
        ] {
            assert!(without_lone_surrogates(json).is_some(), "{json}");
        }
    }

    #[test]
    fn halves_are_replaced_and_pairs_stay() {
        for (json, whole) in [
            (r#""\ud83c\udf89 \\ud800""#, None),
            (r#""\ud800""#, Some(r#""\ufffd""#)),
            (r#""\uDC00\uD83C""#, Some(r#""\ufffd\ufffd""#)),
            (
                r#"["\ud83c\ud83c\udf89", "\\\udf89é"]"#,
                Some(r#"["\ufffd\ud83c\udf89", "\\\ufffdé"]"#),
            ),
            (r#"{"a\ud800":1}"#, Some(r#"{"a\ufffd":1}"#)),
        ] {
            assert_eq!(without_lone_surrogates(json).as_deref(), whole, "{json}");
        }
    }
}
