//! Frames of clients.

use polywire_core::Payload;

/// A frame of a client.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Request(Request),
    SequenceAck(u64),
    Ping,
    /// A frame that is not served, and why: answered where it wants an answer.
    Refused {
        ack_id: Option<u64>,
        why: String,
    },
    /// A part of a stream, which is not spoken here.
    Stream {
        id: String,
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
        data_type: DataType,
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
    Protobuf,
}
