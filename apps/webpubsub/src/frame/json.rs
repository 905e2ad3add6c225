//! Frames in JSON.

use std::borrow::Cow;

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
    #[serde(borrow)]
    stream: Option<&'r RawValue>,
    stream_id: Option<String>,
    sequence_id: Option<Number>,
    invocation_id: Option<String>,
}

/// What a frame that begins a stream says of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamStart {
    stream_id: String,
}

/// An id; some clients write it as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

/// Text with half a surrogate pair, which clients can write in JSON and nobody can read.
const HALF_A_CHARACTER: &str =
    "A text has half a surrogate pair, which is no character: send whole characters.";

/// Streams are not spoken here. Nobody would know what to do with their parts.
pub(crate) const NO_STREAMS: &str =
    "Streams are not served here: send to the group without `stream`.";

/// Reads a frame.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub(super) fn parse(message: &Message) -> Result<Frame, String> {
    let raw: Raw<'_> = match serde_json::from_slice(message.as_bytes()) {
        Ok(raw) => raw,
        Err(error) => {
            let broken = || format!("The message is not a valid frame: {error}.");
            return with_half_a_character(message).ok_or_else(broken);
        }
    };
    let ack_id = raw.ack_id;
    let refused = |why: String| Ok(Frame::Refused { ack_id, why });
    let request = |action| Ok(Frame::Request(Request { ack_id, action }));
    match raw.kind.as_str() {
        "joinGroup" => request(Action::Join(raw.group()?)),
        "leaveGroup" => request(Action::Leave(raw.group()?)),
        "sendToGroup" if raw.stream.is_some() => {
            let start = raw.stream.map(|stream| serde_json::from_str(stream.get()));
            let start: Option<StreamStart> = start.and_then(Result::ok);
            match start {
                Some(start) => Ok(Frame::Stream {
                    id: start.stream_id,
                    ack_id,
                }),
                None => refused(NO_STREAMS.into()),
            }
        }
        "streamData" | "streamEnd" if raw.stream_id.is_some() => Ok(Frame::Stream {
            id: raw.stream_id.unwrap_or_default(),
            ack_id,
        }),
        "sendToGroup" | "event" if raw.has_half_a_character() => refused(HALF_A_CHARACTER.into()),
        "sendToGroup" => {
            let (payload, data_type) = match raw.payload()? {
                Ok(data) => data,
                Err(why) => return refused(why),
            };
            request(Action::Send {
                group: raw.group()?,
                payload,
                data_type,
                no_echo: raw.no_echo,
            })
        }
        "event" => {
            let (payload, data_type) = match raw.payload()? {
                Ok(data) => data,
                Err(why) => return refused(why),
            };
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
        kind => refused(format!("Frames of the type {kind:?} are not served here.")),
    }
}

/// A frame that would be one, had its names whole characters only.
fn with_half_a_character(message: &Message) -> Option<Frame> {
    let bytes = Bytes::copy_from_slice(message.as_bytes());
    let mended = JsonText::parse(bytes).ok()?;
    let raw: Raw<'_> = serde_json::from_str(mended.as_str()).ok()?;
    Some(Frame::Refused {
        ack_id: raw.ack_id,
        why: HALF_A_CHARACTER.into(),
    })
}

impl Raw<'_> {
    fn group(&self) -> Result<String, String> {
        self.group
            .clone()
            .ok_or_else(|| "The frame names no group.".into())
    }

    /// True for a text that is a JSON string and has no value.
    fn has_half_a_character(&self) -> bool {
        let data = self.data.map_or("null", RawValue::get);
        self.data_type.as_deref() == Some("text")
            && data.starts_with('"')
            && serde_json::from_str::<Cow<'_, str>>(data).is_err()
    }

    /// The data; inside, why it is not taken although the frame is one.
    fn payload(&self) -> Result<Result<(Payload, DataType), String>, String> {
        let data = self.data.map_or("null", RawValue::get);
        let text = || serde_json::from_str::<String>(data);
        let taken = match self.data_type.as_deref().unwrap_or("json") {
            "text" => {
                let text = text().map_err(|_| "The data of a text must be a string.")?;
                (Payload::text(text), DataType::Text)
            }
            // It is JSON, so what it is not taken for is no fault of the frame.
            "json" => match json_payload(data) {
                Ok(payload) => (payload, DataType::Json),
                Err(why) => return Ok(Err(why)),
            },
            sort @ ("binary" | "protobuf") => {
                let encoded = text().map_err(|_| "Binary data must be a string in base64.")?;
                let bytes = BASE64_STANDARD
                    .decode(encoded)
                    .map_err(|_| "Binary data must be a string in base64.")?;
                if sort == "binary" {
                    (Payload::Binary(bytes.into()), DataType::Binary)
                } else {
                    (any_payload(bytes.into())?, DataType::Protobuf)
                }
            }
            other => return Err(format!("There is no data type {other:?}.")),
        };
        Ok(Ok(taken))
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

/// The answer to a part of a stream, which there is in JSON only: clients wait for one.
pub(crate) fn stream_closed(id: &str) -> Message {
    text(&json!({
        "type": "streamClosed", "streamId": id,
        "error": {"name": "NotSupported", "message": NO_STREAMS},
    }))
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
            Ok(Frame::Refused {
                ack_id: Some(3),
                ..
            })
        ));
    }

    #[test]
    fn a_text_and_a_json_string_are_told_apart() {
        for (data_type, is_json) in [(r#""text""#, false), (r#""json""#, true), ("null", true)] {
            let frame = format!(
                r#"{{"type":"sendToGroup","group":"g","dataType":{data_type},"data":"caf\u00e9"}}"#
            );
            let Ok(Frame::Request(Request { action, .. })) = parse(&frame) else {
                panic!("{frame}")
            };
            let Action::Send {
                payload: Payload::Text(text),
                ..
            } = action
            else {
                panic!("{action:?}")
            };
            assert_eq!(&**text.value(), "café");
            assert_eq!(text.quoted().is_some(), is_json, "{frame}");
        }
    }

    #[test]
    fn frames_that_are_not_served_are_refused_under_their_ids() {
        let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
        let deep = format!(r#""group":"g","data":{deep}"#);
        for (kind, members, why) in [
            (
                "sendToGroup",
                r#""group":"g","dataType":"text","data":"\ud83d""#,
                "half",
            ),
            (
                "event",
                r#""event":"e","dataType":"text","data":"a\udc00b""#,
                "half",
            ),
            ("joinGroup", r#""group":"\ud800""#, "half"),
            ("event", r#""event":"\ud800","data":1"#, "half"),
            ("sendToGroup", r#""group":"g","stream":{}"#, "Streams"),
            (
                "sendToGroup",
                r#""group":"g","data":1,"stream":[1]"#,
                "Streams",
            ),
            ("sendToGroup", &deep, "60 levels"),
            ("sendToGroup", r#""group":"g","data":[1e999]"#, "1.8e308"),
        ] {
            let frame = format!(r#"{{"type":"{kind}",{members},"ackId":7}}"#);
            let Ok(Frame::Refused {
                ack_id: Some(7),
                why: said,
            }) = parse(&frame)
            else {
                panic!("{frame}: {:?}", parse(&frame))
            };
            assert!(said.contains(why) && said.ends_with('.'), "{frame}: {said}");
        }
        for stream in [
            r#"{"type":"sendToGroup","group":"g","stream":{"streamId":"s"},"ackId":7}"#,
            r#"{"type":"streamData","streamId":"s","streamSequenceId":1,"data":1,"ackId":7}"#,
            r#"{"type":"streamEnd","streamId":"s","ackId":7}"#,
        ] {
            let ack_id = Some(7);
            let id = "s".into();
            assert_eq!(parse(stream), Ok(Frame::Stream { id, ack_id }));
        }
        let none = r#"{"type":"sendToGroup","group":"g","data":"x","stream":null}"#;
        assert!(matches!(parse(none), Ok(Frame::Request(_))));
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
