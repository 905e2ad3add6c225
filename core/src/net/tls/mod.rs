//! TLS by rustls: certificates from files, the handshake, and what goes over a connection afterwards.

mod alpn;
mod certificate;
mod error;
mod handshake;
mod options;
mod session;
mod watch;

pub(crate) use self::{certificate::Certificate, watch::watch};
pub use self::{error::TlsError, options::TlsOptions};
pub(crate) use self::{
    handshake::{HandshakeFailure, handshake},
    session::TlsSession,
};
