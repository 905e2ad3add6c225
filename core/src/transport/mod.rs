//! Transports: listeners, HTTP, WebSocket, SockJS, protocols over bare TCP.

mod arrival;
mod guarded;
pub mod http;
mod link;
mod listener;
mod listening;
mod long_line;
mod proxy_header;
mod session;
pub mod sockjs;
pub mod tcp;
mod transfer_coding;
pub mod websocket;

pub use self::{
    link::Link,
    listening::Listening,
    session::{Ending, Endpoint, Handshake, HttpRefusal, SessionHandler},
};
pub(crate) use self::{listener::Listener, tcp::Speakers};
pub use crate::{
    framing::{CloseReason, Framing},
    net::{Socket, tls},
    wheel::{Tick, Wheel},
};
