//! The content of a publication.

use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr;

use super::JsonText;

/// What a publication says, in the kind that its publisher's protocol gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A JSON value that is not a string.
    Json(JsonText),
    /// A text. A top-level JSON string is a text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

/// A text, with the JSON string that it came in as, so that it can go out byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    value: ByteString,
    quoted: Option<JsonText>,
}

impl Text {
    /// A text that did not come as JSON.
    pub fn new(value: impl Into<ByteString>) -> Self {
        Self {
            value: value.into(),
            quoted: None,
        }
    }

    /// The text itself.
    pub fn value(&self) -> &ByteString {
        &self.value
    }

    /// The JSON string that the text came in as, where it came as one.
    pub fn quoted(&self) -> Option<&JsonText> {
        self.quoted.as_ref()
    }

    /// The text as a JSON string: the original one where there was one.
    pub fn to_json(&self) -> JsonText {
        match &self.quoted {
            Some(quoted) => quoted.clone(),
            // A string always has a JSON form.
            None => JsonText::of(&*self.value).unwrap_or_else(|_| JsonText::null()),
        }
    }
}

impl Payload {
    /// A text.
    pub fn text(value: impl Into<ByteString>) -> Self {
        Self::Text(Text::new(value))
    }

    /// A JSON value; a string becomes [`Payload::Text`] and remembers how it was written.
    pub fn json(json: JsonText) -> Self {
        if !json.is_string() {
            return Self::Json(json);
        }
        let inside = &json.as_str()[1..json.as_str().len() - 1];
        if memchr(b'\\', inside.as_bytes()).is_none() {
            // Without an escape the text stands there as it is.
            let value = json.clone().into_inner().slice_ref(inside);
            let quoted = Some(json);
            return Self::Text(Text { value, quoted });
        }
        match serde_json::from_str::<String>(json.as_str()) {
            Ok(value) => Self::Text(Text {
                value: value.into(),
                quoted: Some(json),
            }),
            // Only what is no text, such as "\ud800", which no `JsonText` has.
            Err(_) => Self::Json(json),
        }
    }

    /// Bytes without a type, as MQTT sends: JSON where they are JSON, text where they are UTF-8.
    pub fn untyped(bytes: Bytes) -> Self {
        if let Ok(json) = JsonText::parse(bytes.clone()) {
            // Only bytes that are the JSON text and nothing else come out the same again.
            if !json.is_string() && json.as_str().as_bytes() == bytes {
                return Self::Json(json);
            }
        }
        match ByteString::try_from(bytes.clone()) {
            Ok(text) => Self::text(text),
            Err(_) => Self::Binary(bytes),
        }
    }

    /// Bytes that the payload occupies.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(json) => json.as_str().len(),
            Self::Text(text) => text.value.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Payload {
        Payload::json(JsonText::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap())
    }

    #[test]
    fn a_json_string_is_a_text_that_remembers_how_it_was_written() {
        let Payload::Text(text) = json(r#""caf\u00e9""#) else {
            panic!("not a text")
        };
        assert_eq!(&**text.value(), "café");
        assert_eq!(text.to_json().as_str(), r#""caf\u00e9""#);
        assert_eq!(Text::new("a\"b").to_json().as_str(), r#""a\"b""#);
    }

    #[test]
    fn a_lone_surrogate_becomes_a_text() {
        let Payload::Text(text) = json(r#""\ud800""#) else {
            panic!("not a text")
        };
        assert_eq!(&**text.value(), "\u{fffd}");
        assert_eq!(text.to_json().as_str(), r#""\ufffd""#);
    }

    #[test]
    fn untyped_bytes_get_the_narrowest_kind_that_comes_out_the_same() {
        assert!(matches!(
            Payload::untyped(Bytes::from_static(b"{\"a\":1}")),
            Payload::Json(_)
        ));
        assert!(matches!(
            Payload::untyped(Bytes::from_static(b" 1")),
            Payload::Text(_)
        ));
        assert!(matches!(
            Payload::untyped(Bytes::from_static(b"hello")),
            Payload::Text(_)
        ));
        // What is no JSON to some parsers is a text to all.
        assert!(matches!(
            Payload::untyped(Bytes::from_static(b"{\"a\":1e999}")),
            Payload::Text(_)
        ));
        assert!(matches!(
            Payload::untyped(Bytes::from_static(b"{\"a\":\"\\ud800\"}")),
            Payload::Text(_)
        ));
        assert!(matches!(
            Payload::untyped(Bytes::from_static(b"\xff")),
            Payload::Binary(_)
        ));
    }
}
