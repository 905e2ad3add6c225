//! Frames in JSON.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use polywire_core::{JsonText, Payload, delivery::Message};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    request::{Action, DataType, Frame, Request},
    server_frame::{Failure, ServerFrame},
    wire::any_payload,
};

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

/// Reads a frame.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub(super) fn parse(message: &Message) -> Result<Frame, String> {
    let raw: Raw<'_> = serde_json::from_slice(message.as_bytes())
        .map_err(|error| format!("The message is not a valid frame: {error}."))?;
    let ack_id = raw.ack_id;
    let request = |action| Ok(Frame::Request(Request { ack_id, action }));
    match raw.kind.as_str() {
        "joinGroup" => request(Action::Join(raw.group()?)),
        "leaveGroup" => request(Action::Leave(raw.group()?)),
        "sendToGroup" => {
            let (payload, data_type) = raw.payload()?;
            request(Action::Send {
                group: raw.group()?,
                payload,
                data_type,
                no_echo: raw.no_echo,
            })
        }
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
            Ok(Frame::SequenceAck(id))
        }
        "ping" => Ok(Frame::Ping),
        "invoke" | "cancelInvocation" if raw.invocation_id.is_some() => {
            Ok(Frame::Invoke(raw.invocation_id.unwrap_or_default()))
        }
        _ => Ok(Frame::Unknown {
            name: raw.kind,
            ack_id,
        }),
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
            sort @ ("binary" | "protobuf") => {
                let encoded = text().map_err(|_| "Binary data must be a string in base64.")?;
                let bytes = BASE64_STANDARD
                    .decode(encoded)
                    .map_err(|_| "Binary data must be a string in base64.")?;
                if sort == "binary" {
                    return Ok((Payload::Binary(bytes.into()), DataType::Binary));
                }
                Ok((any_payload(bytes.into())?, DataType::Protobuf))
            }
            other => Err(format!("There is no data type {other:?}.")),
        }
    }
}

pub(super) fn json_payload(data: &str) -> Result<Payload, String> {
    let bytes = Bytes::copy_from_slice(data.as_bytes());
    let json =
        JsonText::parse(bytes).map_err(|error| format!("The data is not taken: {error}."))?;
    Ok(Payload::json(json))
}

fn text(value: &serde_json::Value) -> Message {
    Message::Text(value.to_string().into())
}

pub(super) fn write(frame: ServerFrame<'_>) -> Message {
    match frame {
        ServerFrame::Connected {
            connection,
            user,
            reconnection_token,
        } => {
            let mut connected =
                json!({"type": "system", "event": "connected", "connectionId": connection});
            if let Some(user) = user {
                connected["userId"] = user.into();
            }
            if let Some(token) = reconnection_token {
                connected["reconnectionToken"] = token.into();
            }
            text(&connected)
        }
        ServerFrame::Disconnected(message) => {
            text(&json!({"type": "system", "event": "disconnected", "message": message}))
        }
        ServerFrame::Ack(id, Ok(())) => {
            Message::Text(format!(r#"{{"type":"ack","ackId":{id},"success":true}}"#).into())
        }
        ServerFrame::Ack(id, Err(Failure { name, message })) => text(&json!({
            "type": "ack", "ackId": id, "success": false,
            "error": {"name": name, "message": message},
        })),
        ServerFrame::Pong => Message::Text(ByteString::from_static(r#"{"type":"pong"}"#)),
    }
}

/// The answer to an invocation, which there is in JSON only.
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
        super::parse(&Message::Text(text.to_owned().into()))
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
            if let Err(error) = super::parse(&Message::Binary(bytes.into())) {
                prop_assert!(error.ends_with('.'));
            }
        }
    }
}
