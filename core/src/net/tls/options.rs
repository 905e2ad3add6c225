//! Options of TLS on an address.

use std::path::PathBuf;

/// TLS on an address: the files of its certificate, and whether plain connections are served beside it.
///
/// The files are looked at again while the server runs: a new certificate is taken for new connections, a
/// bad one is logged and the old one kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The certificate and those that vouch for it, in PEM, its own first.
    pub certificate: PathBuf,
    /// The private key of the certificate, in PEM.
    pub key: PathBuf,
    /// Refuses connections that do not begin with TLS. Default false: both are served on one port.
    pub only: bool,
}

impl TlsOptions {
    /// TLS beside plain connections.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            only: false,
        }
    }

    /// Sets whether connections without TLS are refused.
    #[must_use]
    pub fn only(mut self, only: bool) -> Self {
        self.only = only;
        self
    }
}
