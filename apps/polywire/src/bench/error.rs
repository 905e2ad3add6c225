//! Reasons why nothing could be measured.

use std::{io, net::SocketAddr};

use crate::client::ClientError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("no server answers at {0}: start one there, or name another address with --addr")]
    Connect(SocketAddr, #[source] io::Error),
    #[error("nobody knows where {0} is: use a name or an IP address that this system knows")]
    Resolve(String, #[source] io::Error),
    /// It says what to do itself.
    #[error(transparent)]
    Trust(#[from] ClientError),
    #[error(
        "the server was not trusted, or does not speak TLS there: name the certificate that vouches for it \
         with --ca, and the server as the certificate does"
    )]
    Untrusted(#[source] io::Error),
    #[error("{0} cannot be listened on: free it, or name another address with --addr")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("there is no process {0}: --pid takes the process id of the running server")]
    NoProcess(u32),
    #[error("the server refused {who}: {answer}")]
    Refused { who: String, answer: String },
    #[error(
        "the server closed the connection of {0} before it was ready: it may not speak this protocol at this address"
    )]
    ClosedEarly(String),
    #[error(
        "{0} of {1} connections were not ready in time: the server may be overloaded, or not speak this protocol"
    )]
    NotReady(usize, usize),
    #[error(
        "{0} of {1} subscribers got no first message in time: the server lost it, or did not take their subscription"
    )]
    NotSubscribed(usize, usize),
    #[error("the server closed every connection while it was measured")]
    AllClosed,
    #[error("the system did not let this program wait for connections")]
    Poll(#[source] io::Error),
    #[error("the result could not be printed")]
    Output(#[source] io::Error),
}
