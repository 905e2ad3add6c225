//! Settings of Seth-Pusher.

use polywire_core::{
    Rights,
    http::AllowedOrigins,
    settings::{Problem, Settings},
    transport::sockjs::SameSite,
};
use serde::Deserialize;

/// `[apps.seth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct SethSection")]
pub struct SethSettings {
    /// Takes a credential for connections to `/connect` too. Without it whoever shows none is
    /// [anonymous](rights.md#anonymous-clients). Default false, as in Seth-Pusher.
    pub authenticate_connect: bool,
    /// Bytes of an id or a channel name that a client may choose. Default 256.
    pub name_bytes_max: usize,
    /// Pages of which sites may use the app from a browser: origins such as `https://chat.example`, `same-origin`, `loopback`,
    /// `null`, or `*` for all, see [origins](configuration.md#origins). Default `same-origin` and, for browsers on this machine, `loopback` and `null`.
    pub allowed_origins: Option<Vec<String>>,
    /// Sets the `JSESSIONID` cookie, for sticky load balancers. Default false.
    pub cookie: bool,
    /// The `SameSite` of that cookie: `strict`, `lax` or `none`. Default none is said, which browsers take for `lax`.
    pub cookie_same_site: Option<SameSite>,
    /// Has that cookie sent over TLS only. Default false.
    pub cookie_secure: bool,
    /// All requests of a polling session must come from one address. Default false.
    pub same_address: bool,
    /// Where the iframe page loads sockjs-client from, which must be the version of the pages that embed it. Default: the
    /// server itself, version 1.6.1.
    pub client_url: Option<String>,
    /// What that file is checked against, such as `sha384-…` (Subresource Integrity). Default nothing; the server's own is
    /// always checked.
    pub client_integrity: Option<String>,
    /// What its clients can reach at most, whatever is granted to them: lists of channels for each right, see
    /// [rights](rights.md). Default everything.
    pub channels: Option<Rights>,
}

impl Default for SethSettings {
    fn default() -> Self {
        Self {
            authenticate_connect: false,
            name_bytes_max: 256,
            allowed_origins: None,
            cookie: false,
            cookie_same_site: None,
            cookie_secure: false,
            same_address: false,
            client_url: None,
            client_integrity: None,
            channels: None,
        }
    }
}

impl Settings for SethSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::zeros([("name_bytes_max", self.name_bytes_max == 0)]);
        problems.extend(AllowedOrigins::problem(self.allowed_origins.as_deref()));
        if self.cookie_same_site == Some(SameSite::None) && !self.cookie_secure {
            let message = "browsers take such a cookie over TLS only: set cookie_secure too";
            problems.push(Problem::new("cookie_same_site", message));
        }
        if self.client_integrity.is_some() && self.client_url.is_none() {
            let message = "says what client_url is checked against: set that too";
            problems.push(Problem::new("client_integrity", message));
        }
        problems
    }
}
