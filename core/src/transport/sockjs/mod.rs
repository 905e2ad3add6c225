//! SockJS 0.3.x: a WebSocket-like channel of texts over whatever the client can do.

mod headers;
mod options;
mod pages;
mod receiving;
mod route;
mod service;
mod session;
mod stream;
mod table;
mod task;

pub(crate) use self::session::HttpSession;
pub use self::{
    options::{SameSite, SockJsOptions},
    service::SockJs,
};
pub use crate::framing::sockjs::{
    BrokenFraming, HEARTBEAT, OPEN, PayloadError, close_frame, incoming, message_frame, payload,
    quote,
};
