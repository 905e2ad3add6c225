//! What clients send, and what they are answered.

mod json;
mod protobuf;
mod wire;

use polywire_core::{Payload, delivery::Message};

pub(crate) use self::{
    json::not_invoked,
    wire::{Data, DataMessage, Down, Downstream},
};
use crate::dialect::Dialect;

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

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(crate) fn parse(dialect: Dialect, message: &Message) -> Result<Self, String> {
        match dialect {
            Dialect::Json => json::parse(message),
            Dialect::Protobuf => protobuf::parse(message),
        }
    }
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

/// What the server says, apart from messages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said<'s> {
    /// The first frame of a connection.
    Connected {
        connection: &'s str,
        user: Option<&'s str>,
        reconnection_token: Option<&'s str>,
    },
    /// The last frame of a connection that the server ends.
    Disconnected(&'s str),
    /// The answer to a request.
    Ack(u64, &'s Result<(), Failure>),
    Pong,
}

impl Said<'_> {
    /// As a frame.
    pub(crate) fn write(self, dialect: Dialect) -> Message {
        match dialect {
            Dialect::Json => json::write(self),
            Dialect::Protobuf => protobuf::write(self),
        }
    }
}
