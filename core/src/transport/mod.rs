//! How bytes come in and go out: sockets, HTTP, WebSocket, SockJS.

mod arrival;
mod close;
mod framing;
mod guarded;
pub mod http;
mod listener;
mod long_line;
mod read_buffer;
mod seldom;
mod session;
mod slots;
mod socket;
pub mod sockjs;
pub mod tcp;
pub mod tls;
pub mod websocket;
mod wheel;

pub use self::{
    close::CloseReason,
    framing::Framing,
    session::{Ending, Endpoint, Handshake, HttpRefusal, SessionHandler},
    socket::Socket,
    wheel::{Tick, Wheel},
};
pub(crate) use self::{listener::Listener, slots::Slots, tcp::Speakers};
