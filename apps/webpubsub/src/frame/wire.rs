//! The messages of the protobuf subprotocols, with the numbers of their fields.

use bytes::Bytes;
use polywire_core::Payload;
use prost::{Message, Oneof};

/// What a client sends.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Upstream {
    #[prost(oneof = "Up", tags = "1, 5, 6, 7, 8, 9")]
    pub(crate) message: Option<Up>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Up {
    #[prost(message, tag = "1")]
    Send(SendToGroup),
    #[prost(message, tag = "5")]
    Event(Event),
    #[prost(message, tag = "6")]
    Join(Group),
    #[prost(message, tag = "7")]
    Leave(Group),
    #[prost(message, tag = "8")]
    SequenceAck(SequenceAck),
    #[prost(message, tag = "9")]
    Ping(Nothing),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SendToGroup {
    #[prost(string, tag = "1")]
    pub(crate) group: String,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) ack_id: Option<u64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) data: Option<SentData>,
    #[prost(bool, tag = "4")]
    pub(crate) no_echo: bool,
    /// That it begins a stream; what is in it is not read.
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub(crate) stream: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    #[prost(string, tag = "1")]
    pub(crate) event: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) data: Option<SentData>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) ack_id: Option<u64>,
}

/// To join or to leave.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Group {
    #[prost(string, tag = "1")]
    pub(crate) group: String,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) ack_id: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SequenceAck {
    #[prost(uint64, tag = "1")]
    pub(crate) sequence_id: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Nothing {}

/// Data that a client sends.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SentData {
    #[prost(oneof = "Sent", tags = "1, 2, 3, 4")]
    pub(crate) data: Option<Sent>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Sent {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bytes = "bytes", tag = "2")]
    Binary(Bytes),
    /// An [`Any`], as its bytes.
    #[prost(bytes = "bytes", tag = "3")]
    Protobuf(Bytes),
    #[prost(string, tag = "4")]
    Json(String),
}

/// A message of any type, with its name.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// What a server sends.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Downstream {
    #[prost(oneof = "Down", tags = "1, 2, 3, 4")]
    pub(crate) message: Option<Down>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Down {
    #[prost(message, tag = "1")]
    Ack(Ack),
    #[prost(message, tag = "2")]
    Data(DataMessage),
    #[prost(message, tag = "3")]
    System(System),
    #[prost(message, tag = "4")]
    Pong(Nothing),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ack {
    #[prost(uint64, tag = "1")]
    pub(crate) ack_id: u64,
    #[prost(bool, tag = "2")]
    pub(crate) success: bool,
    #[prost(message, optional, tag = "3")]
    pub(crate) error: Option<AckError>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AckError {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

/// A message for a client. The sequence id, field 4, follows where there is one: it differs for each connection.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DataMessage {
    #[prost(string, tag = "1")]
    pub(crate) from: String,
    #[prost(string, optional, tag = "2")]
    pub(crate) group: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub(crate) data: Option<Data>,
}

/// Data for a client: one of these. Texts are bytes here, which are not copied.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Data {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) text: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) binary: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) protobuf: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct System {
    #[prost(oneof = "SystemEvent", tags = "1, 2")]
    pub(crate) event: Option<SystemEvent>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum SystemEvent {
    #[prost(message, tag = "1")]
    Connected(Connected),
    #[prost(message, tag = "2")]
    Disconnected(Disconnected),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Connected {
    #[prost(string, tag = "1")]
    pub(crate) connection_id: String,
    #[prost(string, tag = "2")]
    pub(crate) user_id: String,
    #[prost(string, tag = "3")]
    pub(crate) reconnection_token: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Disconnected {
    #[prost(string, tag = "2")]
    pub(crate) reason: String,
}

/// Bytes that are said to be an `Any`; receivers could not read a message with others.
pub(super) fn any_payload(bytes: Bytes) -> Result<Payload, String> {
    match Any::decode(bytes.clone()) {
        Ok(_) => Ok(Payload::Binary(bytes)),
        Err(_) => Err("Protobuf data must be a google.protobuf.Any.".into()),
    }
}
