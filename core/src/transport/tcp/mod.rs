//! Protocols that come over bare TCP, beside HTTP on the same port.

mod connection;
mod protocol;
mod recognise;

pub(super) use self::recognise::{Speaker, Speakers, recognise};
pub use self::{
    connection::{StreamHandler, StreamOptions, serve_stream},
    protocol::{Recognition, TcpProtocol},
};
