//! The frames that transports put around messages.

mod close;
mod message;
pub(crate) mod sockjs;
pub(crate) mod websocket;

pub use self::{close::CloseReason, message::Message};

use bytes::Bytes;

/// What a transport puts around a message. It is the same for every connection, so that one framed
/// message serves them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Nothing: the bytes as they are.
    Raw,
    /// A WebSocket frame.
    WebSocket,
    /// A SockJS `a["..."]` frame inside a WebSocket frame.
    SockJsWebSocket,
    /// A JSON string as it stands inside a SockJS `a[...]` frame, for sessions read over HTTP.
    SockJsMessage,
}

impl Framing {
    /// The framed message.
    pub fn frame(self, message: &Message) -> Bytes {
        match self {
            Self::Raw => match message {
                Message::Text(text) => text.clone().into_bytes(),
                Message::Binary(bytes) => bytes.clone(),
            },
            Self::WebSocket => websocket::message_frame(message),
            Self::SockJsWebSocket => {
                websocket::text_frame(sockjs::message_frame(&[sockjs::quote(message)]).as_bytes())
            }
            Self::SockJsMessage => sockjs::quote(message).into(),
        }
    }

    /// [`frame`](Self::frame) for a message that nobody else needs.
    pub(crate) fn frame_owned(self, message: Message) -> Bytes {
        match (self, message) {
            (Self::Raw, Message::Text(text)) => text.into_bytes(),
            (Self::Raw, Message::Binary(bytes)) => bytes,
            (framing, message) => framing.frame(&message),
        }
    }

    /// The last frame of a connection.
    pub fn close(self, reason: &CloseReason) -> Bytes {
        match self {
            Self::Raw | Self::SockJsMessage => Bytes::new(),
            Self::WebSocket => websocket::close_frame(reason),
            Self::SockJsWebSocket => {
                let mut bytes =
                    websocket::text_frame(sockjs::close_frame(reason).as_bytes()).to_vec();
                bytes.extend_from_slice(&websocket::close_frame(&CloseReason::new(1000, "")));
                bytes.into()
            }
        }
    }
}
