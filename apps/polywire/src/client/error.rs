//! Reasons why a command failed, and what to do.

use std::{error::Error, io, path::PathBuf};

use rustls::pki_types::pem;

/// Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(
        "no server answers at {0}: start one with `polywire serve`, or name another with --server"
    )]
    Connect(String, #[source] io::Error),
    #[error(
        "the server at {0} was not trusted, or does not speak TLS there: name the certificate that vouches \
         for it with --ca, and the server as the certificate does"
    )]
    Untrusted(String, #[source] io::Error),
    #[error("{} holds no certificates that can be read: --ca takes a file in PEM", .0.display())]
    Ca(PathBuf, #[source] pem::Error),
    #[error("{}: name a file with --ca", match .0 {
        Some(path) => format!("{} holds no certificate", path.display()),
        None => "this system trusts nobody".into(),
    })]
    NobodyTrusted(Option<PathBuf>),
    #[error("no certificate can be for {0:?}: use the name of the server, or its IP address")]
    Name(String),
    #[error("TLS cannot be spoken")]
    Tls(#[source] rustls::Error),
    #[error("the message could not be sent to the HTTP API")]
    Client(#[source] Box<dyn Error + Send + Sync>),
    #[error(
        "the HTTP API at {0} was not reached, or did not answer: see whether the server runs, and whether \
         --server and --ca are right"
    )]
    Unanswered(String, #[source] io::Error),
    #[error("the connection to {0} was lost: see whether the server still runs")]
    Lost(String, #[source] io::Error),
    #[error(
        "the server at {0} closed the connection before it confirmed: it may not serve kn-sock there \
         (or only with TLS: tls://), may want a --token, or a message was longer than it takes"
    )]
    Unconfirmed(String),
    #[error("the server at {0} did not confirm in time: some messages may not have been published")]
    Late(String),
    #[error(
        "the server at {0} did not open a WebSocket ({1}): it may not serve Seth-Pusher there (or only \
         with TLS: https://), or want a --header or a --query"
    )]
    Handshake(String, String),
    #[error(
        "the server at {0} has no history to read ({1}): it may not serve the app `history` there"
    )]
    NoHistory(String, String),
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
