//! WebSocket (RFC 6455) on sockets that we own.

mod connection;
mod decoder;
mod handshake;
mod options;
mod pump;
mod serve;

pub use self::{
    decoder::{Decoder, Incoming, ProtocolError},
    handshake::{HandshakeError, negotiate, upgrade},
    options::WebSocketOptions,
    serve::serve,
};
pub use crate::framing::websocket::{
    close_frame, message_frame, ping_frame, pong_frame, text_frame,
};
