//! Addresses that are listened on.

use std::{fmt, net::SocketAddr};

/// An address that is listened on. Its text is for people and scripts: `http://127.0.0.1:8080`, `https://` and
/// `tls://` where TLS is spoken, `tcp://` and `tls://` where there is no HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listening {
    /// The address; with port 0 the one that was found.
    pub address: SocketAddr,
    /// Whether HTTP is served.
    pub http: bool,
    /// Whether TLS is served.
    pub tls: bool,
    /// Whether connections without TLS are served.
    pub plain: bool,
}

impl Listening {
    /// The beginning of a URL here, such as `http://127.0.0.1:8080`; with TLS only where nothing else is served.
    pub fn http_url(&self) -> String {
        let scheme = if self.plain { "http" } else { "https" };
        format!("{scheme}://{}", self.address)
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.http, self.tls) {
            (true, false) => "http",
            (true, true) => "https",
            (false, false) => "tcp",
            (false, true) => "tls",
        };
        write!(f, "{scheme}://{}", self.address)?;
        if self.tls && self.plain {
            write!(f, " (and without TLS)")?;
        }
        Ok(())
    }
}
