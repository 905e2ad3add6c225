//! A publication as it is written to a store.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use polywire_core::{Payload, Publication, Target};

/// A publication as a JSON text, `{"data":…,"channel":…}` or `{"data":…,"user":…}`.
///
/// JSON is carried as its publisher wrote it, a text as a JSON string, bytes as a JSON string in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) target: Target,
    pub(crate) json: Bytes,
}

impl Record {
    pub(crate) fn of(publication: &Publication) -> Self {
        let data = match &publication.payload {
            Payload::Json(json) => json.clone(),
            Payload::Text(text) => text.to_json(),
            Payload::Binary(bytes) => {
                polywire_core::Text::new(BASE64_STANDARD.encode(bytes)).to_json()
            }
        };
        let (key, name) = match &publication.target {
            Target::Channel(channel) => ("channel", serde_json::to_string(channel.as_str())),
            Target::Client(client) => ("user", serde_json::to_string(client)),
        };
        // A name is a text or a number, which always has a JSON form.
        let name = name.unwrap_or_else(|_| "null".into());
        let json = format!("{{\"data\":{},\"{key}\":{name}}}", data.as_str());
        Self {
            target: publication.target.clone(),
            json: json.into(),
        }
    }

    /// Bytes that the record occupies, roughly.
    pub(crate) fn len(&self) -> usize {
        self.json.len() + 128
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, ClientId, Draft, JsonText, Position};

    use super::*;

    fn written(target: impl Into<Target>, payload: Payload) -> String {
        let publication = Draft::new(target, payload).at(Position::default());
        String::from_utf8(Record::of(&publication).json.to_vec()).unwrap()
    }

    #[test]
    fn json_stays_as_it_was_and_the_rest_becomes_a_string() {
        let room = || Channel::new("ro\"om").unwrap();
        let json = |text: &'static str| {
            Payload::json(JsonText::parse(Bytes::from_static(text.as_bytes())).unwrap())
        };
        assert_eq!(
            written(room(), json(r#"{"a" : 1.50}"#)),
            r#"{"data":{"a" : 1.50},"channel":"ro\"om"}"#
        );
        assert_eq!(
            written(ClientId::new("ann").unwrap(), json(r#""caf\u00e9""#)),
            r#"{"data":"caf\u00e9","user":"ann"}"#
        );
        assert_eq!(
            written(ClientId::number(&7.into()), Payload::text("a\nb")),
            r#"{"data":"a\nb","user":7}"#
        );
        assert_eq!(
            written(room(), Payload::Binary(Bytes::from_static(&[0, 255]))),
            r#"{"data":"AP8=","channel":"ro\"om"}"#
        );
    }
}
