//! Settings of Seth-Pusher.

use polywire_core::settings::{Problem, Settings};
use serde::Deserialize;

/// `[apps.seth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct SethSection")]
pub struct SethSettings {
    /// Asks the authentication policy for connections to `/connect` too. Default false, as in
    /// Seth-Pusher.
    pub authenticate_connect: bool,
    /// Bytes of an id or a channel name that a client may choose. Default 256.
    pub name_bytes_max: usize,
    /// Sets the `JSESSIONID` cookie, for sticky load balancers. Default false.
    pub cookie: bool,
    /// All requests of a polling session must come from one address. Default false.
    pub same_address: bool,
    /// Where the iframe page loads sockjs-client from. Default: a public CDN.
    pub client_url: Option<String>,
}

impl Default for SethSettings {
    fn default() -> Self {
        Self {
            authenticate_connect: false,
            name_bytes_max: 256,
            cookie: false,
            same_address: false,
            client_url: None,
        }
    }
}

impl Settings for SethSettings {
    fn problems(&self) -> Vec<Problem> {
        Problem::zeros([("name_bytes_max", self.name_bytes_max == 0)])
    }
}
