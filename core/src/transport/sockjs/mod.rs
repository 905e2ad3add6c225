//! SockJS 0.3.x: a WebSocket-like channel of texts over whatever the client can do.

mod codec;
mod session;

pub use self::codec::{HEARTBEAT, OPEN, close_frame, incoming, message_frame, quote};
pub(crate) use self::session::HttpSession;
