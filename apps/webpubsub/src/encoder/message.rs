//! Messages as bytes: in a dialect, and for clients that chose none.

use bytes::Bytes;
use polywire_core::{Payload, delivery::Message};

use super::{json, protobuf, sender::Sender};
use crate::dialect::Dialect;

/// A message in a dialect; without what is around a sequence id where the subprotocol has them.
pub(super) fn message(
    dialect: Dialect,
    is_reliable: bool,
    from: Sender<'_>,
    payload: &Payload,
    is_protobuf: bool,
) -> Message {
    match dialect {
        Dialect::Json => {
            let mut text = json::body(from, payload, is_protobuf);
            if !is_reliable {
                text.push('}');
            }
            Message::Text(text.into())
        }
        Dialect::Protobuf => {
            let body = protobuf::message(from, payload, is_protobuf);
            Message::Binary(if is_reliable {
                protobuf::body(&body)
            } else {
                protobuf::whole(body)
            })
        }
    }
}

/// A payload as it is, for a client that chose no subprotocol.
pub(crate) fn plain(payload: &Payload) -> Message {
    match payload {
        Payload::Text(text) => Message::Text(match text.quoted() {
            Some(quoted) => quoted.clone().into_inner(),
            None => text.value().clone(),
        }),
        Payload::Json(json) => Message::Text(json.clone().into_inner()),
        Payload::Binary(bytes) => Message::Binary(bytes.clone()),
    }
}

/// A message of the server that is for one connection.
pub(crate) fn server_message(dialect: Dialect, payload: &Payload) -> Message {
    message(dialect, false, Sender::Server, payload, false)
}

/// The same without what is around the sequence id.
pub(crate) fn server_body(dialect: Dialect, payload: &Payload) -> Bytes {
    match message(dialect, true, Sender::Server, payload, false) {
        Message::Text(text) => text.into_bytes(),
        Message::Binary(bytes) => bytes,
    }
}
