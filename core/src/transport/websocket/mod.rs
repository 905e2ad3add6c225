//! WebSocket (RFC 6455) on sockets that we own.

mod connection;
mod decoder;
mod frame;
mod handshake;
mod options;
mod pump;
mod serve;

pub(crate) use self::frame::FrameHead;
pub use self::{
    decoder::{Decoder, Incoming, ProtocolError},
    frame::{close_frame, message_frame, ping_frame, pong_frame, text_frame},
    handshake::{HandshakeError, negotiate, upgrade},
    options::WebSocketOptions,
    serve::serve,
};
