//! What clients send, and what they are answered.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use polywire_core::{JsonText, Payload, delivery::Message};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

/// A frame of a client.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Request(Request),
    SequenceAck(u64),
    Ping,
    /// Of a type that is not spoken here: answered where it wants an answer.
    Unknown {
        name: String,
        ack_id: Option<u64>,
    },
    /// An invocation, which is not spoken here.
    Invoke(String),
}

/// A request, which is answered when it has an id.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) ack_id: Option<u64>,
    pub(crate) action: Action,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    Join(String),
    Leave(String),
    Send {
        group: String,
        payload: Payload,
        no_echo: bool,
    },
    Event {
        name: String,
        payload: Payload,
        data_type: DataType,
    },
}

/// The sort of data, by the name that it has on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataType {
    Text,
    Json,
    Binary,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'r> {
    #[serde(rename = "type")]
    kind: String,
    group: Option<String>,
    event: Option<String>,
    ack_id: Option<u64>,
    #[serde(default)]
    no_echo: bool,
    data_type: Option<String>,
    #[serde(borrow)]
    data: Option<&'r RawValue>,
    sequence_id: Option<Number>,
    invocation_id: Option<String>,
}

/// An id; some clients write it as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(crate) fn parse(message: &Message) -> Result<Self, String> {
        let raw: Raw<'_> = serde_json::from_slice(message.as_bytes())
            .map_err(|error| format!("The message is not a valid frame: {error}."))?;
        let ack_id = raw.ack_id;
        let request = |action| Ok(Self::Request(Request { ack_id, action }));
        match raw.kind.as_str() {
            "joinGroup" => request(Action::Join(raw.group()?)),
            "leaveGroup" => request(Action::Leave(raw.group()?)),
            "sendToGroup" => request(Action::Send {
                group: raw.group()?,
                payload: raw.payload()?.0,
                no_echo: raw.no_echo,
            }),
            "event" => {
                let (payload, data_type) = raw.payload()?;
                let name = raw.event.filter(|name| !name.is_empty());
                let name = name.ok_or("The frame names no event.")?;
                request(Action::Event {
                    name,
                    payload,
                    data_type,
                })
            }
            "sequenceAck" => {
                let id = match raw.sequence_id {
                    Some(Number::Number(id)) => Some(id),
                    Some(Number::Text(text)) => text.parse().ok(),
                    None => None,
                };
                let id = id.ok_or("The frame has no sequenceId.")?;
                Ok(Self::SequenceAck(id))
            }
            "ping" => Ok(Self::Ping),
            "invoke" | "cancelInvocation" if raw.invocation_id.is_some() => {
                Ok(Self::Invoke(raw.invocation_id.unwrap_or_default()))
            }
            _ => Ok(Self::Unknown {
                name: raw.kind,
                ack_id,
            }),
        }
    }
}

impl Raw<'_> {
    fn group(&self) -> Result<String, String> {
        self.group
            .clone()
            .ok_or_else(|| "The frame names no group.".into())
    }

    fn payload(&self) -> Result<(Payload, DataType), String> {
        let data = self.data.map_or("null", RawValue::get);
        let text = || serde_json::from_str::<String>(data);
        match self.data_type.as_deref().unwrap_or("json") {
            "text" => {
                text().map_err(|_| "The data of a text must be a string.")?;
                Ok((json_payload(data)?, DataType::Text))
            }
            "json" => Ok((json_payload(data)?, DataType::Json)),
            "binary" | "protobuf" => {
                let encoded = text().map_err(|_| "Binary data must be a string in base64.")?;
                let bytes = BASE64_STANDARD
                    .decode(encoded)
                    .map_err(|_| "Binary data must be a string in base64.")?;
                Ok((Payload::Binary(bytes.into()), DataType::Binary))
            }
            other => Err(format!("There is no data type {other:?}.")),
        }
    }
}

fn json_payload(data: &str) -> Result<Payload, String> {
    let bytes = Bytes::copy_from_slice(data.as_bytes());
    let json =
        JsonText::parse(bytes).map_err(|error| format!("The data is not taken: {error}."))?;
    Ok(Payload::json(json))
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) name: &'static str,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            message: message.into(),
        }
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new("Forbidden", message)
    }
}

fn text(value: &serde_json::Value) -> Message {
    Message::Text(value.to_string().into())
}

/// The answer to a request.
pub(crate) fn ack(id: u64, outcome: &Result<(), Failure>) -> Message {
    match outcome {
        Ok(()) => Message::Text(format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#).into()),
        Err(Failure { name, message }) => text(&json!({
            "type": "ack", "ackId": id, "success": false,
            "error": {"name": name, "message": message},
        })),
    }
}

/// The first frame of a connection.
pub(crate) fn connected(
    connection: &str,
    user: Option<&str>,
    reconnection_token: Option<&str>,
) -> Message {
    let mut frame = json!({"type": "system", "event": "connected", "connectionId": connection});
    if let Some(user) = user {
        frame["userId"] = user.into();
    }
    if let Some(token) = reconnection_token {
        frame["reconnectionToken"] = token.into();
    }
    text(&frame)
}

/// The last frame of a connection that the server ends.
pub(crate) fn disconnected(message: &str) -> Message {
    text(&json!({"type": "system", "event": "disconnected", "message": message}))
}

pub(crate) fn pong() -> Message {
    Message::Text(ByteString::from_static(r#"{"type":"pong"}"#))
}

/// The answer to an invocation.
pub(crate) fn not_invoked(id: &str) -> Message {
    text(&json!({
        "type": "invokeResponse", "invocationId": id, "success": false,
        "error": {"name": "NotSupported", "message": "Invocations are not served here."},
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Frame, String> {
        Frame::parse(&Message::Text(text.to_owned().into()))
    }

    #[test]
    fn requests_are_read() {
        let Ok(Frame::Request(request)) = parse(
            r#"{"type":"sendToGroup","group":"g","ackId":18446744073709551615,"dataType":"json","data":{"a" : 1},"noEcho":true,"x":0}"#,
        ) else {
            panic!("it is a request")
        };
        assert_eq!(request.ack_id, Some(u64::MAX));
        let Action::Send {
            payload: Payload::Json(json),
            no_echo: true,
            ..
        } = request.action
        else {
            panic!("{:?}", request.action)
        };
        assert_eq!(json.as_str(), r#"{"a" : 1}"#);
        let absent = parse(r#"{"type":"sendToGroup","group":"g"}"#).unwrap();
        assert!(matches!(
            absent,
            Frame::Request(Request { ack_id: None, .. })
        ));
        assert_eq!(
            parse(r#"{"type":"sequenceAck","sequenceId":"7"}"#),
            Ok(Frame::SequenceAck(7))
        );
        assert_eq!(parse(r#"{"type":"ping"}"#), Ok(Frame::Ping));
        assert!(matches!(
            parse(r#"{"type":"new","ackId":3}"#),
            Ok(Frame::Unknown {
                ack_id: Some(3),
                ..
            })
        ));
    }

    #[test]
    fn mistakes_are_sentences() {
        for (frame, wrong) in [
            ("", "not a valid frame"),
            ("[]", "not a valid frame"),
            (r#"{"group":"g"}"#, "missing field `type`"),
            (r#"{"type":"joinGroup"}"#, "no group"),
            (r#"{"type":"joinGroup","group":5}"#, "not a valid frame"),
            (r#"{"type":"event","event":"","data":1}"#, "no event"),
            (
                r#"{"type":"sendToGroup","group":"g","dataType":"text","data":1}"#,
                "must be a string",
            ),
            (
                r#"{"type":"sendToGroup","group":"g","dataType":"binary","data":"?"}"#,
                "base64",
            ),
            (
                r#"{"type":"sendToGroup","group":"g","dataType":"x","data":1}"#,
                "no data type",
            ),
            (
                r#"{"type":"sequenceAck","sequenceId":"x"}"#,
                "no sequenceId",
            ),
            (
                r#"{"type":"joinGroup","group":"g","ackId":-1}"#,
                "not a valid frame",
            ),
        ] {
            let error = parse(frame).unwrap_err();
            assert!(error.contains(wrong), "{frame}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_a_sentence(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Err(error) = Frame::parse(&Message::Binary(bytes.into())) {
                prop_assert!(error.ends_with('.'));
            }
        }
    }
}
