//! Clients of a running server, for the commands.

mod connect;
mod error;
mod lines;
mod socket;

pub(crate) use self::{
    error::ClientError,
    lines::LineClient,
    socket::{Incoming, SocketClient},
};

/// A JSON text without ends of lines: between tokens they are white space, inside strings they cannot stand.
pub(crate) fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}
