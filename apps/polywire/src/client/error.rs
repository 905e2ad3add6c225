//! Why a command failed, and what to do.

use std::io;

/// Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("{0} is not an address: use HOST:PORT, such as 127.0.0.1:8080")]
    Address(String),
    #[error(
        "no server answers at {0}: start one with `polywire serve`, or name another with --server"
    )]
    Connect(String, #[source] io::Error),
    #[error("the connection to {0} was lost: see whether the server still runs")]
    Lost(String, #[source] io::Error),
    #[error(
        "the server at {0} closed the connection before it confirmed: it may not serve kn-sock there \
         (or only with TLS), may want a --token, or a message was longer than it takes"
    )]
    Unconfirmed(String),
    #[error("the server at {0} did not confirm in time: some messages may not have been published")]
    Late(String),
    #[error(
        "the server at {0} did not open a WebSocket ({1}): it may not serve Seth-Pusher there (or only \
         with TLS), or want a --query"
    )]
    Handshake(String, String),
    #[error("the server refused {0}: {1}")]
    Refused(String, String),
    #[error("the server at {0} closed the connection{1}")]
    Closed(String, String),
    #[error("{0} is not JSON: quote it as JSON, or leave out --json to publish it as a text")]
    NotJson(String, #[source] serde_json::Error),
    #[error("{0} is not UTF-8")]
    NotUtf8(String),
    #[error("standard input could not be read")]
    Input(#[source] io::Error),
    #[error("standard output could not be written")]
    Output(#[source] io::Error),
}
