//! Commands of clients.

use bytes::Bytes;
use polywire_core::{Channel, ClientId, CustomCommand, JsonText};
use serde_json::Value;

/// Characters of a client's text that an error repeats.
const QUOTED_CHARS_MAX: usize = 256;

/// A message from a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Connect(ClientId),
    Subscribe(Channel),
    Unsubscribe(Channel),
    /// Of a type that Seth-Pusher does not know.
    Custom(CustomCommand),
}

impl Command {
    /// Reads a message.
    ///
    /// # Errors
    /// One sentence for the client.
    pub(crate) fn parse(text: &str, name_bytes_max: usize) -> Result<Self, String> {
        let message: Value =
            serde_json::from_str(text).map_err(|_| format!("Could not dispatch {}", cut(text)))?;
        let Value::Object(message) = message else {
            return Err("Message must be a JSON object.".into());
        };
        let kind = message.get("type").filter(|kind| !is_falsy(kind));
        let kind = kind.ok_or("Message must have type.")?;
        let channel = || {
            name(message.get("channel"), name_bytes_max)
                .and_then(|name| Channel::new(&name).ok())
                .ok_or_else(|| "Must provide channel for sub/unsub message.".to_owned())
        };
        match kind.as_str() {
            Some("connect") => client(message.get("subscriber_id"), name_bytes_max)
                .map(Self::Connect)
                .ok_or_else(|| "Must provide subscriber_id for connect message.".into()),
            Some("subscribe") => channel().map(Self::Subscribe),
            Some("unsubscribe") => channel().map(Self::Unsubscribe),
            Some(other) => custom(other, text),
            None => custom(&kind.to_string(), text),
        }
    }
}

fn custom(kind: &str, text: &str) -> Result<Command, String> {
    let text = Bytes::copy_from_slice(text.as_bytes());
    let body = JsonText::parse(text).map_err(|_| wrong_type(kind))?;
    Ok(Command::Custom(CustomCommand::new(kind, body)))
}

/// The error for a type that nobody knows.
pub(crate) fn wrong_type(kind: &str) -> String {
    format!("Wrong type: {}.", cut(kind))
}

fn client(id: Option<&Value>, bytes_max: usize) -> Option<ClientId> {
    match id? {
        Value::String(id) if id.len() <= bytes_max => ClientId::new(id).ok(),
        Value::Number(id) => Some(ClientId::number(id)),
        _ => None,
    }
}

fn name(name: Option<&Value>, bytes_max: usize) -> Option<String> {
    match name? {
        Value::String(name) if name.len() <= bytes_max => Some(name.clone()),
        Value::Number(name) => Some(name.to_string()),
        _ => None,
    }
}

/// What counts as missing: null, false, zero and everything empty.
fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.is_empty(),
    }
}

fn cut(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(QUOTED_CHARS_MAX)
        .map_or(text.len(), |(index, _)| index);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command, String> {
        Command::parse(text, 256)
    }

    #[test]
    fn takes_texts_and_numbers_as_names() {
        let ann = ClientId::new("ann").unwrap();
        assert_eq!(
            parse(r#"{"type":"connect","subscriber_id":"ann","extra":[1]}"#),
            Ok(Command::Connect(ann))
        );
        assert_eq!(
            parse(r#"{"type":"subscribe","channel":7}"#),
            Ok(Command::Subscribe(Channel::new("7").unwrap()))
        );
    }

    #[test]
    fn refuses_in_the_order_of_the_original() {
        let no_id = "Must provide subscriber_id for connect message.";
        let no_channel = "Must provide channel for sub/unsub message.";
        let cases = [
            ("hello", "Could not dispatch hello"),
            ("", "Could not dispatch "),
            ("[]", "Message must be a JSON object."),
            ("5", "Message must be a JSON object."),
            ("{}", "Message must have type."),
            (r#"{"type":""}"#, "Message must have type."),
            (r#"{"type":0}"#, "Message must have type."),
            (r#"{"type":null,"channel":"a"}"#, "Message must have type."),
            (r#"{"type":"connect"}"#, no_id),
            (r#"{"type":"connect","subscriber_id":null}"#, no_id),
            (r#"{"type":"connect","subscriber_id":""}"#, no_id),
            (r#"{"type":"connect","subscriber_id":[1]}"#, no_id),
            (r#"{"type":"connect","subscriber_id":true}"#, no_id),
            (r#"{"type":"subscribe"}"#, no_channel),
            (r#"{"type":"subscribe","channel":{}}"#, no_channel),
            (r#"{"type":"unsubscribe","channel":""}"#, no_channel),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text), Err(message.to_owned()), "{text}");
        }
        let long = format!(r#"{{"type":"subscribe","channel":"{}"}}"#, "x".repeat(257));
        assert_eq!(parse(&long), Err(no_channel.to_owned()));
    }

    #[test]
    fn other_types_are_for_the_dispatcher() {
        for (text, kind) in [
            (r#"{"type":"typing","in":"room"}"#, "typing"),
            (r#"{"type":5}"#, "5"),
            (r#"{"type":["connect"]}"#, r#"["connect"]"#),
        ] {
            let Ok(Command::Custom(command)) = parse(text) else {
                panic!("{text}");
            };
            assert_eq!((&*command.kind, command.body.as_str()), (kind, text));
        }
        assert_eq!(wrong_type("disconnect"), "Wrong type: disconnect.");
        let long = wrong_type(&"x".repeat(10_000));
        assert_eq!(long.len(), "Wrong type: .".len() + QUOTED_CHARS_MAX);
    }

    #[test]
    fn repeats_only_the_beginning_of_a_long_text() {
        let error = parse(&"é".repeat(10_000)).unwrap_err();
        assert_eq!(
            error.chars().count(),
            "Could not dispatch ".len() + QUOTED_CHARS_MAX
        );
    }

    #[test]
    fn deep_nesting_is_refused_and_not_a_crash() {
        assert!(
            parse(&"[".repeat(100_000))
                .unwrap_err()
                .starts_with("Could not dispatch")
        );
    }

    proptest::proptest! {
        /// Whatever is sent is a command or one sentence about what is wrong.
        #[test]
        fn any_text_is_a_command_or_an_error(text in "\\PC*") {
            if let Err(problem) = parse(&text) {
                proptest::prop_assert!(!problem.is_empty());
            }
        }

        #[test]
        fn any_name_comes_through(name in "\\PC{1,60}") {
            let text = serde_json::json!({"type": "subscribe", "channel": name}).to_string();
            let expected = Channel::new(&name).unwrap();
            proptest::prop_assert_eq!(parse(&text), Ok(Command::Subscribe(expected)));
        }
    }
}
