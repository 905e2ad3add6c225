//! JSON that is checked once and then carried as it is.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr2_iter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{number::has_number_out_of_range, surrogate::without_lone_surrogates};

/// Arrays and objects inside each other that a text may have: with what a protocol puts around it, as many as the parsers
/// of .NET take, which are the strictest.
const DEPTH_MAX: usize = 60;

/// A JSON text that every client's parser takes, checked once, spliced into every wire format and never written anew.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsonText(ByteString);

/// Why bytes are not a [`JsonText`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJson {
    /// The bytes are not one JSON value in UTF-8.
    #[error("not valid JSON")]
    Syntax,
    /// A number is larger than any double.
    #[error("JSON has a number above 1.8e308: send it as a string")]
    NumberTooLarge,
    /// Arrays and objects are nested too deeply.
    #[error("JSON is nested more than {DEPTH_MAX} levels deep")]
    TooDeep,
}

impl JsonText {
    /// The value `null`.
    pub fn null() -> Self {
        Self(ByteString::from_static("null"))
    }

    /// Checks `bytes`; white space around the value is dropped, everything inside is kept but half a surrogate pair, such as
    /// `"\ud800"`, in whose place `\ufffd` is written: it is no text.
    ///
    /// # Errors
    /// What is not exactly one JSON value, nests deeper than 60 levels, or has a number that no double holds.
    pub fn parse(bytes: Bytes) -> Result<Self, InvalidJson> {
        let text = ByteString::try_from(bytes).map_err(|_| InvalidJson::Syntax)?;
        if depth(text.as_bytes()) > DEPTH_MAX {
            return Err(InvalidJson::TooDeep);
        }
        let inner = {
            let raw: &RawValue = serde_json::from_str(&text).map_err(|_| InvalidJson::Syntax)?;
            text.slice_ref(raw.get())
        };
        Self::readable(inner)
    }

    /// Valid JSON that is not too deep, where every client can read it.
    fn readable(text: ByteString) -> Result<Self, InvalidJson> {
        if !text.starts_with('"') && has_number_out_of_range(&text) {
            return Err(InvalidJson::NumberTooLarge);
        }
        Ok(Self(match without_lone_surrogates(&text) {
            Some(whole) => whole.into(),
            None => text,
        }))
    }

    /// A value that a parser found inside `text`: shared with it, and its syntax is not checked again.
    ///
    /// # Errors
    /// A value that nests deeper than 60 levels, or has a number that no double holds.
    pub fn found_in(text: &ByteString, value: &RawValue) -> Result<Self, InvalidJson> {
        let value = value.get();
        // A string may be full of brackets, and has no depth.
        if !value.starts_with('"') && depth(value.as_bytes()) > DEPTH_MAX {
            return Err(InvalidJson::TooDeep);
        }
        let (outer, inner) = (text.as_bytes().as_ptr_range(), value.as_bytes());
        let inner = inner.as_ptr_range();
        Self::readable(if outer.start <= inner.start && inner.end <= outer.end {
            text.slice_ref(value)
        } else {
            value.into()
        })
    }

    /// A JSON string without escapes inside `text`, its quotes included: shared with it. `None` when it is
    /// none. That is told faster than by a parser.
    pub fn plain_string_in(text: &ByteString, value: &str) -> Option<Self> {
        let inside = value.strip_prefix('"')?.strip_suffix('"')?;
        // Without a branch for each byte, so that many are looked at at once.
        let is_plain = inside.bytes().fold(true, |plain, byte| {
            plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\')
        });
        let (outer, inner) = (text.as_bytes().as_ptr_range(), value.as_bytes());
        let inner = inner.as_ptr_range();
        let is_inside = outer.start <= inner.start && inner.end <= outer.end;
        (is_plain && is_inside).then(|| Self(text.slice_ref(value)))
    }

    /// Writes `value` as JSON.
    ///
    /// # Errors
    /// Values that JSON cannot say, such as maps with keys that are not texts.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(|text| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text with its shared storage.
    pub fn into_inner(self) -> ByteString {
        self.0
    }

    /// True when the value is an object.
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// True when the value is a string.
    pub fn is_string(&self) -> bool {
        self.0.starts_with('"')
    }
}

/// The deepest nesting of arrays and objects, found without recursion and without parsing numbers or names.
///
/// Where so few begin that they cannot be too deep, it is only a bound: counting takes many bytes at once.
fn depth(bytes: &[u8]) -> usize {
    let bound = memchr2_iter(b'[', b'{', bytes).take(DEPTH_MAX + 1).count();
    if bound <= DEPTH_MAX {
        return bound;
    }
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    deepest
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for JsonText {
    /// Writes the text as it is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    /// Takes the text as it is written; `null` is a text too, where it is not that of an `Option`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = String::from(Box::<str>::from(raw));
        Self::parse(text.into()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<JsonText, InvalidJson> {
        JsonText::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn keeps_the_inside_and_drops_white_space_around() {
        assert_eq!(
            parse(" {\"a\" : 1.50}\r\n").unwrap().as_str(),
            "{\"a\" : 1.50}"
        );
    }

    #[test]
    fn refuses_what_is_not_one_value() {
        for text in ["", " ", "{", "{}{}", "NaN", "'a'", "[1,]", "\u{feff}1"] {
            assert_eq!(parse(text), Err(InvalidJson::Syntax), "{text:?}");
        }
        assert_eq!(
            JsonText::parse(Bytes::from_static(b"\"\xff\"")),
            Err(InvalidJson::Syntax)
        );
    }

    #[test]
    fn a_found_value_shares_the_text() {
        let text = ByteString::from_static(r#"{"a": [1, 2]}"#);
        let found: std::collections::BTreeMap<&str, &RawValue> =
            serde_json::from_str(&text).unwrap();
        let json = JsonText::found_in(&text, found["a"]).unwrap();
        assert_eq!(json.as_str(), "[1, 2]");
        assert_eq!(json.as_str().as_ptr(), text[6..].as_ptr());
        let elsewhere = RawValue::from_string("[3]".to_owned()).unwrap();
        let json = JsonText::found_in(&text, &elsewhere).unwrap();
        assert_eq!(json.as_str(), "[3]");
        let deep = format!("{}{}", "[".repeat(61), "]".repeat(61));
        let deep = RawValue::from_string(deep).unwrap();
        assert_eq!(JsonText::found_in(&text, &deep), Err(InvalidJson::TooDeep));
    }

    #[test]
    fn a_plain_string_is_found_without_a_parser() {
        let text = ByteString::from_static("\"caf\u{e9} [{\" \"a\\n\" \"a\"b\" \"\t\" \" ");
        let found = |range: std::ops::Range<usize>| {
            JsonText::plain_string_in(&text, &text[range]).map(|json| json.as_str().to_owned())
        };
        assert_eq!(found(0..10).as_deref(), Some("\"caf\u{e9} [{\""));
        for range in [0..9, 1..10, 11..16, 17..22, 23..26, 27..28, 0..0] {
            assert_eq!(found(range.clone()), None, "{range:?}");
        }
        assert_eq!(JsonText::plain_string_in(&text, "\"elsewhere\""), None);
    }

    #[test]
    fn is_what_every_parser_reads() {
        let mended = |text| parse(text).unwrap().as_str().to_owned();
        assert_eq!(
            mended(r#"["\ud800", "\ud83d\udc34"]"#),
            r#"["\ufffd", "\ud83d\udc34"]"#
        );
        assert_eq!(parse("[1e999]"), Err(InvalidJson::NumberTooLarge));
        assert_eq!(parse(&"1".repeat(5000)), Err(InvalidJson::NumberTooLarge));
        let text = ByteString::from_static(r#"["\udc00",1e999]"#);
        let found: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
        let mended = JsonText::found_in(&text, found[0]);
        assert_eq!(mended.unwrap().as_str(), r#""\ufffd""#);
        let refused = JsonText::found_in(&text, found[1]);
        assert_eq!(refused, Err(InvalidJson::NumberTooLarge));
    }

    #[test]
    fn bounds_the_depth() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(parse(&nested(DEPTH_MAX + 1)), Err(InvalidJson::TooDeep));
        assert!(parse(&format!("\"{}\"", "[".repeat(1000))).is_ok());
        assert!(parse(&format!("\"\\\"{}\"", "[".repeat(1000))).is_ok());
        assert!(parse(&format!("[{}[]]", "[],".repeat(1000))).is_ok());
    }
}
