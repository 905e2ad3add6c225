//! Messages in protobuf.

use bytes::Bytes;
use polywire_core::Payload;
use prost::Message;

use super::sender::Sender;
use crate::frame::{Data, DataMessage, Down, Downstream};

/// A message without a sequence id.
pub(super) fn message(from: Sender<'_>, payload: &Payload, is_protobuf: bool) -> DataMessage {
    let (from, group) = match from {
        Sender::Server => ("server", None),
        Sender::Group { group, .. } => ("group", Some(group.to_owned())),
    };
    let mut data = Data::default();
    match payload {
        // There is a field for JSON, which older clients do not know.
        Payload::Json(json) => data.text = Some(json.clone().into_inner().into_bytes()),
        Payload::Text(text) => {
            data.text = Some(match text.quoted() {
                Some(quoted) => quoted.clone().into_inner().into_bytes(),
                None => text.value().clone().into_bytes(),
            });
        }
        Payload::Binary(bytes) if is_protobuf => data.protobuf = Some(bytes.clone()),
        Payload::Binary(bytes) => data.binary = Some(bytes.clone()),
    }
    DataMessage {
        from: from.to_owned(),
        group,
        data: Some(data),
    }
}

/// The content of the field that a message is, to which a sequence id is added.
pub(super) fn body(message: &DataMessage) -> Bytes {
    message.encode_to_vec().into()
}

/// As it goes down.
pub(super) fn whole(message: DataMessage) -> Bytes {
    let message = Some(Down::Data(message));
    Downstream { message }.encode_to_vec().into()
}
