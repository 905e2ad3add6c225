//! Commands of clients.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr;
use polywire_core::{Channel, JsonText, Payload};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::plain::{PlainLine, Value};

/// A line from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Add this connection to a topic.
    Subscribe(Channel),
    /// Remove it.
    Unsubscribe(Channel),
    /// Send to everybody on a topic.
    Publish(Channel, Payload),
}

/// Why a line has no effect. The client is told nothing: it would take the answer for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ignored {
    #[error("not JSON")]
    NotJson,
    #[error("not an object")]
    NotAnObject,
    #[error("no known action")]
    UnknownAction,
    #[error("no topic")]
    NoTopic,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    message: Option<&'a RawValue>,
}

/// A message that is `null` is a message; only one that is not there is none.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Command {
    /// Reads a line without its end; `None` for a blank one.
    pub(crate) fn parse(line: Bytes, topic_bytes_max: usize) -> Result<Option<Self>, Ignored> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let text = ByteString::try_from(line).map_err(|_| Ignored::NotJson)?;
        if let Some(line) = PlainLine::read(&text) {
            return Self::of(&text, line, topic_bytes_max);
        }
        Self::parse_any(&text, topic_bytes_max)
    }

    /// Reads any line, good or bad.
    fn parse_any(text: &ByteString, topic_bytes_max: usize) -> Result<Option<Self>, Ignored> {
        if !text.trim_ascii_start().starts_with('{') {
            // Only an object may become a `Line`: serde would take an array for one, too.
            let other = serde_json::from_str::<IgnoredAny>(text);
            return Err(other.map_or(Ignored::NotJson, |_| Ignored::NotAnObject));
        }
        // The only pass over the line: what it finds is checked by being found.
        let line: Line<'_> = serde_json::from_str(text).map_err(|_| Ignored::NotJson)?;
        Self::of(
            text,
            PlainLine {
                action: line.action.map(Value::Raw),
                topic: line.topic.map(Value::Raw),
                message: line.message.map(Value::Raw),
            },
            topic_bytes_max,
        )
    }

    fn of(
        text: &ByteString,
        line: PlainLine<'_>,
        topic_bytes_max: usize,
    ) -> Result<Option<Self>, Ignored> {
        let action = line.action.and_then(string).ok_or(Ignored::UnknownAction)?;
        if !matches!(&*action, "subscribe" | "unsubscribe" | "publish") {
            return Err(Ignored::UnknownAction);
        }
        let topic = line
            .topic
            .and_then(string)
            .filter(|topic| topic.len() <= topic_bytes_max)
            .and_then(|topic| Channel::new(&topic).ok())
            .ok_or(Ignored::NoTopic)?;
        Ok(Some(match &*action {
            "subscribe" => Self::Subscribe(topic),
            "unsubscribe" => Self::Unsubscribe(topic),
            _ => Self::Publish(topic, payload(text, line.message)?),
        }))
    }
}

fn payload(line: &ByteString, message: Option<Value<'_>>) -> Result<Payload, Ignored> {
    // Shares the line: it is little more than its message.
    let json = match message {
        None => return Ok(Payload::text("")),
        Some(Value::Plain(text)) => JsonText::plain_string_in(line, text),
        Some(Value::Raw(value)) => JsonText::found_in(line, value).ok(),
    };
    json.map(Payload::json).ok_or(Ignored::NotJson)
}

/// A JSON string; one without escapes stands there as it is.
fn string(value: Value<'_>) -> Option<Cow<'_, str>> {
    let text = match value {
        Value::Plain(text) => text,
        Value::Raw(value) => value.get(),
    };
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    if memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(text).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse_line(line: &str) -> Result<Option<Command>, Ignored> {
        Command::parse(Bytes::copy_from_slice(line.as_bytes()), 512)
    }

    fn topic(name: &str) -> Channel {
        Channel::new(name).unwrap()
    }

    fn published(line: &str) -> Payload {
        match parse_line(line) {
            Ok(Some(Command::Publish(_, payload))) => payload,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        /// Whatever a line is, reading it without a parser gives what the parser gives.
        #[test]
        fn a_plain_line_is_what_the_parser_finds(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("{"), Just("}"), Just("\"action\""), Just("\"topic\""), Just("\"message\""),
                    Just("\"x\""), Just(":"), Just(","), Just(" "), Just("\t"), Just("\"publish\""),
                    Just("\"subscribe\""), Just("\"t\""), Just("\"\""), Just("\""), Just("\\"), Just("1"),
                    Just("-"), Just("null"), Just("[1, \"a\"]"), Just("{\"a\": {}}"), Just("\u{e9}"),
                ],
                0..16,
            ),
            body in prop::collection::vec((0usize..4, 0usize..7, any::<bool>()), 0..5),
        ) {
            let names = ["\"action\"", "\"topic\"", "\"message\"", "\"other\""];
            let values =
                ["\"publish\"", "\"t\"", "\"a[{\"", "[{\"b\": 1}]", "1.5e3", "null", "\"\\u0041\""];
            let fields = body.iter().map(|(name, value, blank)| {
                let blank = if *blank { " " } else { "" };
                format!("{blank}{}{blank}:{blank}{}{blank}", names[*name], values[*value])
            });
            let fields: Vec<_> = fields.collect();
            for line in [pieces.concat(), format!("{{{}}}", fields.join(","))] {
                if line.trim().is_empty() {
                    continue;
                }
                let text = ByteString::from(line.clone());
                prop_assert_eq!(parse_line(&line), Command::parse_any(&text, 512), "{}", line);
            }
        }
    }

    #[test]
    fn takes_white_space_and_extra_fields() {
        let line = " { \"action\" : \"subscribe\", \"topic\": \"a/b\", \"x\": [1] }\r";
        assert_eq!(parse_line(line), Ok(Some(Command::Subscribe(topic("a/b")))));
        assert_eq!(parse_line(" \r"), Ok(None));
        assert_eq!(parse_line(""), Ok(None));
        let escaped = r#"{"action":"unsubscribe","topic":"caf\u00e9"}"#;
        assert_eq!(
            parse_line(escaped),
            Ok(Some(Command::Unsubscribe(topic("café"))))
        );
    }

    #[test]
    fn a_message_keeps_its_type() {
        let json = |text: &'static str| Payload::json(JsonText::parse(text.into()).unwrap());
        let line =
            |message: &str| format!(r#"{{"action":"publish","topic":"t","message":{message}}}"#);
        assert_eq!(
            published(r#"{"action":"publish","topic":"t"}"#),
            Payload::text("")
        );
        for value in [
            "null",
            "1.50",
            "[1, 2]",
            r#"{"a":{}}"#,
            r#""hi""#,
            r#""{\"a\":1}""#,
        ] {
            assert_eq!(published(&line(value)), json(value), "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_ignored_for_a_reason() {
        for (line, reason) in [
            ("{", Ignored::NotJson),
            (
                r#"{"action":"publish","topic":"t","message":NaN}"#,
                Ignored::NotJson,
            ),
            ("[]", Ignored::NotAnObject),
            ("5", Ignored::NotAnObject),
            ("null", Ignored::NotAnObject),
            ("{}", Ignored::UnknownAction),
            (r#"{"action":7,"topic":"t"}"#, Ignored::UnknownAction),
            (r#"{"action":"shout","topic":"t"}"#, Ignored::UnknownAction),
            (r#"{"action":"subscribe"}"#, Ignored::NoTopic),
            (r#"{"action":"subscribe","topic":null}"#, Ignored::NoTopic),
            (r#"{"action":"subscribe","topic":7}"#, Ignored::NoTopic),
            (r#"{"action":"subscribe","topic":["t"]}"#, Ignored::NoTopic),
            (r#"{"action":"subscribe","topic":""}"#, Ignored::NoTopic),
        ] {
            assert_eq!(parse_line(line), Err(reason), "{line}");
        }
        assert_eq!(parse_line(&"[".repeat(100_000)), Err(Ignored::NotJson));
        let twice = r#"{"action":"publish","topic":"t","topic":"u"}"#;
        assert_eq!(parse_line(twice), Err(Ignored::NotJson));
        // Found by no recursion, neither in a message nor in a field that nobody reads.
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let line = format!(r#"{{"action":"publish","topic":"t","message":{deep}}}"#);
        assert_eq!(parse_line(&line), Err(Ignored::NotJson));
        assert_eq!(parse_line(&deep), Err(Ignored::NotAnObject));
        let line = format!(r#"{{"action":"subscribe","topic":"t","x":{deep}}}"#);
        assert_eq!(parse_line(&line), Ok(Some(Command::Subscribe(topic("t")))));
        let not_utf8 = Bytes::from_static(b"{\"action\":\"subscribe\",\"topic\":\"\xff\"}");
        assert_eq!(Command::parse(not_utf8, 512), Err(Ignored::NotJson));
    }
}
