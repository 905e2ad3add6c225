//! Frames: what clients send, and what they are answered.

mod codec;
mod json;
mod protobuf;
mod request;
mod server_frame;
mod wire;

pub(crate) use self::{
    json::{NO_STREAMS, not_invoked, stream_closed},
    request::{Action, DataType, Frame, Request},
    server_frame::{Failure, ServerFrame},
    wire::{Data, DataMessage, Down, Downstream},
};
