//! The codec of frames: from bytes to frames and back, in each dialect.

use polywire_core::delivery::Message;

use super::{json, protobuf, request::Frame, server_frame::ServerFrame};
use crate::dialect::Dialect;

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

impl ServerFrame<'_> {
    /// As a frame.
    pub(crate) fn write(self, dialect: Dialect) -> Message {
        match dialect {
            Dialect::Json => json::write(self),
            Dialect::Protobuf => protobuf::write(self),
        }
    }
}
