//! Frames in protobuf.

use bytes::Bytes;
use polywire_core::{Payload, delivery};
use prost::Message;

use super::{
    json::{NO_STREAMS, json_payload},
    request::{Action, DataType, Frame, Request},
    server_frame::{Failure, ServerFrame},
    wire::{
        Ack, AckError, Connected, Disconnected, Down, Downstream, Nothing, SendToGroup, Sent,
        SentData, System, SystemEvent, Up, Upstream, any_payload,
    },
};

/// Reads a frame.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub(super) fn parse(message: &delivery::Message) -> Result<Frame, String> {
    let bytes = match message {
        delivery::Message::Binary(bytes) => bytes.clone(),
        delivery::Message::Text(_) => return Err("Frames of this subprotocol are binary.".into()),
    };
    let frame = Upstream::decode(bytes)
        .map_err(|error| format!("The message is not a valid frame: {error}."))?;
    let (ack_id, action) = match frame.message {
        Some(Up::Join(join)) => (join.ack_id, Action::Join(join.group)),
        Some(Up::Leave(leave)) => (leave.ack_id, Action::Leave(leave.group)),
        Some(Up::Send(SendToGroup {
            ack_id,
            stream: Some(_),
            ..
        })) => {
            return Ok(Frame::Refused {
                ack_id,
                why: NO_STREAMS.into(),
            });
        }
        Some(Up::Send(send)) => {
            let (payload, data_type) = payload(send.data)?;
            let action = Action::Send {
                group: send.group,
                payload,
                data_type,
                no_echo: send.no_echo,
            };
            (send.ack_id, action)
        }
        Some(Up::Event(event)) => {
            let (payload, data_type) = payload(event.data)?;
            if event.event.is_empty() {
                return Err("The frame names no event.".into());
            }
            let action = Action::Event {
                name: event.event,
                payload,
                data_type,
            };
            (event.ack_id, action)
        }
        Some(Up::SequenceAck(ack)) => return Ok(Frame::SequenceAck(ack.sequence_id)),
        Some(Up::Ping(_)) => return Ok(Frame::Ping),
        // A field that newer clients know.
        None => {
            return Ok(Frame::Refused {
                ack_id: None,
                why: "The frame is of a type that is not served here.".into(),
            });
        }
    };
    Ok(Frame::Request(Request { ack_id, action }))
}

fn payload(data: Option<SentData>) -> Result<(Payload, DataType), String> {
    match data.and_then(|data| data.data) {
        Some(Sent::Text(text)) => Ok((Payload::text(text), DataType::Text)),
        Some(Sent::Binary(bytes)) => Ok((Payload::Binary(bytes), DataType::Binary)),
        Some(Sent::Protobuf(bytes)) => Ok((any_payload(bytes)?, DataType::Protobuf)),
        Some(Sent::Json(json)) => Ok((json_payload(&json)?, DataType::Json)),
        None => Err("The frame has no data.".into()),
    }
}

pub(super) fn write(frame: ServerFrame<'_>) -> delivery::Message {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let down = match frame {
        ServerFrame::Connected {
            connection,
            user,
            reconnection_token,
        } => system(SystemEvent::Connected(Connected {
            connection_id: connection.to_owned(),
            user_id: text(user),
            reconnection_token: text(reconnection_token),
        })),
        ServerFrame::Disconnected(reason) => system(SystemEvent::Disconnected(Disconnected {
            reason: reason.to_owned(),
        })),
        ServerFrame::Ack(ack_id, outcome) => Down::Ack(Ack {
            ack_id,
            success: outcome.is_ok(),
            error: outcome.as_ref().err().map(error),
        }),
        ServerFrame::Pong => Down::Pong(Nothing {}),
    };
    let message = Some(down);
    let bytes: Bytes = Downstream { message }.encode_to_vec().into();
    delivery::Message::Binary(bytes)
}

fn system(event: SystemEvent) -> Down {
    Down::System(System { event: Some(event) })
}

fn error(failure: &Failure) -> AckError {
    AckError {
        name: failure.name.to_owned(),
        message: failure.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::wire::{Event, Group, SequenceAck},
        *,
    };

    fn parse(up: Up) -> Result<Frame, String> {
        let message = Some(up);
        let bytes = Upstream { message }.encode_to_vec();
        super::parse(&delivery::Message::Binary(bytes.into()))
    }

    fn data(data: Sent) -> Option<SentData> {
        Some(SentData { data: Some(data) })
    }

    fn send(data: Option<SentData>) -> Up {
        Up::Send(SendToGroup {
            group: "g".into(),
            ack_id: Some(0),
            data,
            no_echo: true,
            stream: None,
        })
    }

    #[test]
    fn requests_are_read() {
        let Ok(Frame::Request(request)) = parse(send(data(Sent::Json("{\"a\" : 1}".into()))))
        else {
            panic!("it is a request")
        };
        assert_eq!(request.ack_id, Some(0));
        let Action::Send {
            payload: Payload::Json(json),
            no_echo: true,
            data_type: DataType::Json,
            ..
        } = request.action
        else {
            panic!("{:?}", request.action)
        };
        assert_eq!(json.as_str(), "{\"a\" : 1}");
        let group = Group {
            group: "g".into(),
            ack_id: None,
        };
        assert_eq!(
            parse(Up::Join(group)),
            Ok(Frame::Request(Request {
                ack_id: None,
                action: Action::Join("g".into())
            }))
        );
        let ack = SequenceAck { sequence_id: 7 };
        assert_eq!(parse(Up::SequenceAck(ack)), Ok(Frame::SequenceAck(7)));
        assert_eq!(parse(Up::Ping(Nothing {})), Ok(Frame::Ping));
        // The field 12, which is not known, with three bytes.
        let newer = delivery::Message::Binary(Bytes::from_static(b"\x62\x03abc"));
        assert!(matches!(
            super::parse(&newer),
            Ok(Frame::Refused { ack_id: None, .. })
        ));
        let stream = Up::Send(SendToGroup {
            group: "g".into(),
            ack_id: Some(3),
            data: None,
            no_echo: false,
            stream: Some(Bytes::from_static(b"\x0a\x01s")),
        });
        assert!(matches!(
            parse(stream),
            Ok(Frame::Refused {
                ack_id: Some(3),
                ..
            })
        ));
    }

    #[test]
    fn mistakes_are_sentences() {
        let event = |event: &str, data| {
            Up::Event(Event {
                event: event.into(),
                data,
                ack_id: None,
            })
        };
        for (up, wrong) in [
            (send(None), "no data"),
            (send(Some(SentData { data: None })), "no data"),
            (send(data(Sent::Json("{".into()))), "not taken"),
            (
                send(data(Sent::Protobuf(Bytes::from_static(b"\x0a\x05a")))),
                "Any",
            ),
            (event("", data(Sent::Text("a".into()))), "no event"),
            (event("e", None), "no data"),
        ] {
            let error = parse(up).unwrap_err();
            assert!(error.contains(wrong) && error.ends_with('.'), "{error}");
        }
        let text = delivery::Message::Text("{}".into());
        assert!(super::parse(&text).unwrap_err().contains("binary"));
        let cut = delivery::Message::Binary(Bytes::from_static(b"\x0a\x05g"));
        assert!(
            super::parse(&cut)
                .unwrap_err()
                .contains("not a valid frame")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_a_sentence(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Err(error) = super::parse(&delivery::Message::Binary(bytes.into())) {
                prop_assert!(error.ends_with('.'));
            }
        }
    }
}
