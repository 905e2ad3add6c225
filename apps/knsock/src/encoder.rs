//! Encoders: what clients are sent.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytestring::ByteString;
use memchr::memchr2;
use polywire_core::{
    JsonText, Kind, Payload, Publication,
    delivery::{Encoder, Message},
};

/// Writes publications as lines of `{"topic":T,"message":M}`; exactly these two keys.
#[derive(Debug)]
pub(crate) struct LineEncoder;

impl Encoder for LineEncoder {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        // Whatever else there is, the client would take it for a message.
        if !matches!(publication.kind, Kind::Message | Kind::Signal) {
            return None;
        }
        let topic = publication.target.channel()?.as_str();
        let message = match &publication.payload {
            Payload::Json(json) => readable(json),
            Payload::Text(text) => text.to_json().into_inner(),
            Payload::Binary(bytes) => format!("\"{}\"", STANDARD.encode(bytes)).into(),
        };
        let topic = escaped(topic);
        let mut line = String::with_capacity(topic.len() + message.len() + 24);
        for part in [r#"{"topic":""#, &topic, r#"","message":"#, &message, "}\n"] {
            line.push_str(part);
        }
        Some(Message::Text(line.into()))
    }
}

/// A text as it stands inside a JSON string; most need no escape.
fn escaped(text: &str) -> Cow<'_, str> {
    let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if !text.bytes().any(is_special) {
        return Cow::Borrowed(text);
    }
    // A string always has a JSON form.
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inside = quoted.get(1..quoted.len().saturating_sub(1));
    Cow::Owned(inside.unwrap_or_default().to_owned())
}

/// JSON as one line.
fn readable(json: &JsonText) -> ByteString {
    // Inside strings a line cannot end; between tokens its end is white space.
    match memchr2(b'\n', b'\r', json.as_str().as_bytes()) {
        Some(_) => json.as_str().replace(['\n', '\r'], " ").into(),
        None => json.clone().into_inner(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polywire_core::{Channel, ClientId, Draft, Position, PresenceAction, PresenceEvent};

    fn encode(draft: Draft) -> Option<String> {
        match LineEncoder.encode(&draft.at(Position::default()))? {
            Message::Text(text) => Some(text.to_string()),
            Message::Binary(_) => panic!("a line is text"),
        }
    }

    fn draft(payload: Payload) -> Draft {
        Draft::new(Channel::new("a\"b").unwrap(), payload)
    }

    #[test]
    fn every_kind_of_payload_is_one_line() {
        let json = JsonText::parse("{\n\t\"a\": \"\\n\"\r\n}".into()).unwrap();
        let line =
            |message: &str| Some(format!("{{\"topic\":\"a\\\"b\",\"message\":{message}}}\n"));
        assert_eq!(
            encode(draft(Payload::json(json))),
            line("{ \t\"a\": \"\\n\"  }")
        );
        assert_eq!(encode(draft(Payload::text("x\ny"))), line("\"x\\ny\""));
        assert_eq!(
            encode(draft(Payload::Binary(vec![0, 255].into()))),
            line("\"AP8=\"")
        );
        let half = JsonText::parse("{\"\\udead\":\n\"\\ud83c\"}".into()).unwrap();
        assert_eq!(
            encode(draft(Payload::json(half))),
            line("{\"\\ufffd\": \"\\ufffd\"}")
        );
    }

    #[test]
    fn only_messages_of_topics_are_shown() {
        let event = PresenceEvent {
            action: PresenceAction::Join,
            client: None,
            occupancy: 1,
            state: None,
        };
        assert_eq!(
            encode(draft(Payload::text("")).kind(Kind::Presence(event))),
            None
        );
        let ann = ClientId::new("ann").unwrap();
        assert_eq!(encode(Draft::new(ann, Payload::text("private"))), None);
    }
}
