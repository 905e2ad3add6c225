//! Settings of Seth-Pusher.

use polywire_core::{
    Rights,
    http::AllowedOrigins,
    settings::{Problem, Settings},
    space::CloseOnGap,
    transport::sockjs::SameSite,
};
use serde::Deserialize;

/// Where Seth-Pusher serves SockJS.
pub(crate) const PREFIX: &str = "/connect";

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
    /// Where SockJS is served. Default `/connect`, as in Seth-Pusher.
    pub prefix: String,
    /// Seconds between two heartbeats of SockJS. Default 25.
    pub heartbeat_secs: u64,
    /// Seconds that a session may be without a receiving request, as between two polls; then the client is gone. Default 5.
    pub disconnect_delay_secs: u64,
    /// Speaks WebSocket. Without it, as behind a proxy that does not, clients fall back to HTTP. Default true.
    pub websocket: bool,
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
    /// When a client is disconnected, with code 4009, because [messages of its channels are lost](guarantees.md#redis): `kept`
    /// where messages are kept, `always`, or `never`. Default `kept`.
    pub close_on_gap: CloseOnGap,
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
            prefix: PREFIX.to_owned(),
            heartbeat_secs: 25,
            disconnect_delay_secs: 5,
            websocket: true,
            cookie: false,
            cookie_same_site: None,
            cookie_secure: false,
            same_address: false,
            client_url: None,
            client_integrity: None,
            close_on_gap: CloseOnGap::default(),
            channels: None,
        }
    }
}

impl Settings for SethSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Problem::zeros([
            ("name_bytes_max", self.name_bytes_max == 0),
            ("heartbeat_secs", self.heartbeat_secs == 0),
            ("disconnect_delay_secs", self.disconnect_delay_secs == 0),
        ]);
        if !is_prefix(&self.prefix) {
            let message = "must be a path of plain characters that begins with / and does not end with it, such as /connect; \
                           /api and /debug are taken";
            problems.push(Problem::new("prefix", message));
        }
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

/// True for a path that is the same however it is written, and not one of the HTTP API.
fn is_prefix(path: &str) -> bool {
    let is_taken = ["api", "debug"].contains(&path.split('/').nth(1).unwrap_or_default());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut parts = path.split('/');
    path.len() > 1
        && !is_taken
        && parts.next() == Some("")
        && parts.all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_plain_path() {
        for path in ["/connect", "/a/b", "/sock-js_1.0~", "/apiary"] {
            assert!(is_prefix(path), "{path}");
        }
        for path in [
            "", "/", "connect", "/a/", "//a", "/a b", "/a%20", "/\u{e4}", "/a?b", "/..", "/a/./b",
            "/api", "/debug/x",
        ] {
            assert!(!is_prefix(path), "{path}");
        }
    }
}
