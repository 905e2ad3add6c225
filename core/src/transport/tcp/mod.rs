//! Protocols that come over bare TCP, beside HTTP on the same port.

mod connection;
mod protocol;
mod recognise;

pub(crate) use self::recognise::Speakers;
pub(super) use self::recognise::{Speaker, Unrecognised, read_more, recognise};
pub use self::{
    connection::{StreamHandler, StreamOptions, serve_stream},
    protocol::{Recognition, TcpProtocol},
};
