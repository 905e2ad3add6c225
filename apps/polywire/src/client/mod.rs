//! Clients of a running server, for the commands.

mod error;
pub(crate) mod history;
mod http;
mod lines;
mod socket;
mod stream;
pub(crate) mod tls;

pub(crate) use self::{
    error::ClientError,
    http::HttpClient,
    lines::LineClient,
    socket::{Incoming, SocketClient},
};

/// A JSON text without ends of lines: between tokens they are white space, inside strings they cannot stand.
pub(crate) fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}
