//! Apps that are made from a section of a configuration.

use std::net::{Ipv4Addr, SocketAddr};

use super::Builder;
use crate::{
    app::App,
    settings::{Problem, Settings},
    token_place::TokenPlace,
};

/// An app that is made from a section of a configuration.
pub trait FromSettings: App + Sized {
    /// The section; `()` for an app that has none.
    type Settings: Settings;

    /// Makes the app.
    ///
    /// # Errors
    /// A setting that is found to be wrong only here; the others are among
    /// [`problems`](Settings::problems) already.
    fn from_settings(settings: &Self::Settings, composition: &Composition)
    -> Result<Self, Problem>;

    /// Adds it to a server, with what belongs to it, such as an address of its own.
    fn add_to(self, builder: Builder, settings: &Self::Settings) -> Builder {
        let _ = settings;
        builder.app(self)
    }
}

/// What an app is told of the server that it becomes a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Composition {
    /// The first address that the server listens on. Port 0 is any free one.
    pub address: SocketAddr,
    /// Where the authentication policy looks for the secret of a client.
    pub token_place: TokenPlace,
    /// Whether debug APIs are served.
    pub debug: bool,
}

impl Default for Composition {
    /// On `127.0.0.1:8080`, with secrets in the query parameter `api_key`, and without debug APIs.
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 8080).into(),
            token_place: TokenPlace::Query("api_key".into()),
            debug: false,
        }
    }
}
