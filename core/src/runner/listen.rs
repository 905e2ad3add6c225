//! An address to listen on: its apps and its TLS settings.

use std::net::SocketAddr;

use crate::net::tls::TlsOptions;

/// An address to listen on, and what is served there.
///
/// # Examples
/// ```
/// use polywire_core::Listen;
///
/// // Every app on one port, and one of them on a port of its own.
/// let shared = Listen::new(([127, 0, 0, 1], 8080).into());
/// let lines = Listen::new(([127, 0, 0, 1], 9000).into()).apps(["knsock"]);
/// ```
#[derive(Debug, Clone)]
#[must_use = "it must be handed to the builder"]
pub struct Listen {
    pub(super) address: SocketAddr,
    /// `None` is every app, and the builder's own routes.
    pub(super) apps: Option<Vec<String>>,
    pub(super) tls: Option<TlsOptions>,
}

impl Listen {
    /// Every app, and the builder's own routes, at `address`; port 0 takes any free one.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            apps: None,
            tls: None,
        }
    }

    /// Serves these apps only, by their names. A protocol that is alone on its address, without HTTP, needs
    /// no recognition: its clients may connect and say nothing.
    pub fn apps<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.apps = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Serves TLS, beside plain connections or alone.
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    pub(super) fn serves(&self, app: &str, only_where_named: bool) -> bool {
        match &self.apps {
            None => !only_where_named,
            Some(names) => names.iter().any(|name| name == app),
        }
    }

    pub(super) fn is_public(&self) -> bool {
        !self.address.ip().is_loopback()
    }

    pub(super) fn is_tls_only(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.only)
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::new(address)
    }
}
