//! Settings of a mounted SockJS endpoint.

use crate::transport::{CloseReason, http::AllowedOrigins};

/// When browsers send a cookie with requests of pages of other sites: RFC 6265bis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only when a link is followed.
    Lax,
    /// Always; browsers want it [secure](SockJsOptions::cookie_secure) then.
    None,
}

/// How an endpoint speaks SockJS.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SockJsOptions {
    /// Whether WebSocket is spoken; without it both WebSocket addresses are 404.
    pub websocket: bool,
    /// Whether WebSocket without SockJS framing is spoken at `PREFIX/websocket`.
    pub raw_websocket: bool,
    /// Whether session addresses set the `JSESSIONID` cookie, which sticky load balancers ask for.
    pub cookie: bool,
    /// The `SameSite` of that cookie; without it browsers take `Lax`.
    pub cookie_same_site: Option<SameSite>,
    /// Whether that cookie is sent over TLS only.
    pub cookie_secure: bool,
    /// Pages of which sites may use the endpoint. Default: [those that are near](AllowedOrigins::near).
    pub allowed_origins: AllowedOrigins,
    /// Seconds between heartbeats. Default 25.
    pub heartbeat_secs: u64,
    /// Seconds that a session lives without a receiver; then it is closed. Default 5.
    pub disconnect_delay_secs: u64,
    /// Bytes of frames after which a streaming answer ends and the client asks anew. Default 131,072.
    pub response_bytes_max: usize,
    /// Whether all requests of a session must come from one address; others are answered 404.
    pub same_address: bool,
    /// The address of the client library, for the iframe page. Default: the endpoint's own copy, at
    /// `PREFIX/sockjs-1.6.1.min.js`.
    pub client_url: Option<String>,
    /// What the iframe page checks that library against, such as `sha384-…` (Subresource Integrity). Of the own copy it is
    /// known.
    pub client_integrity: Option<String>,
    /// Where clients shall open their transports instead, if not here.
    pub base_url: Option<String>,
    /// Bytes of a send request or of one WebSocket message; more is refused. Default: the limit of the
    /// server.
    pub message_bytes_max: Option<usize>,
    /// Bytes that wait for one session; when passed, it is closed as a slow consumer. Default: the
    /// limit of the server.
    pub outbound_bytes_max: Option<usize>,
    /// Bytes of messages that wait for the app in one session; send requests wait for room.
    /// Default 1 MiB.
    pub inbound_bytes_max: usize,
    /// HTTP sessions at a time; a receive request for one more is answered 503. Default 100,000.
    pub sessions_max: usize,
    /// What clients are told when the server stops.
    pub go_away: CloseReason,
}

impl Default for SockJsOptions {
    fn default() -> Self {
        Self {
            websocket: true,
            raw_websocket: true,
            cookie: false,
            cookie_same_site: None,
            cookie_secure: false,
            allowed_origins: AllowedOrigins::near(),
            heartbeat_secs: 25,
            disconnect_delay_secs: 5,
            response_bytes_max: 128 << 10,
            same_address: false,
            client_url: None,
            client_integrity: None,
            base_url: None,
            message_bytes_max: None,
            outbound_bytes_max: None,
            inbound_bytes_max: 1 << 20,
            sessions_max: 100_000,
            go_away: CloseReason::GO_AWAY,
        }
    }
}

impl SockJsOptions {
    /// Turns both WebSocket addresses on or off.
    pub fn websocket(mut self, on: bool) -> Self {
        self.websocket = on;
        self
    }

    /// Turns the raw WebSocket address on or off.
    pub fn raw_websocket(mut self, on: bool) -> Self {
        self.raw_websocket = on;
        self
    }

    /// Turns the `JSESSIONID` cookie on or off.
    pub fn cookie(mut self, on: bool) -> Self {
        self.cookie = on;
        self
    }

    /// Sets the `SameSite` of the cookie.
    pub fn cookie_same_site(mut self, same_site: SameSite) -> Self {
        self.cookie_same_site = Some(same_site);
        self
    }

    /// Has the cookie sent over TLS only.
    pub fn cookie_secure(mut self, on: bool) -> Self {
        self.cookie_secure = on;
        self
    }

    /// Sets pages of which sites may use the endpoint.
    pub fn allowed_origins(mut self, origins: AllowedOrigins) -> Self {
        self.allowed_origins = origins;
        self
    }

    /// Sets the seconds between heartbeats.
    pub fn heartbeat_secs(mut self, secs: u64) -> Self {
        self.heartbeat_secs = secs;
        self
    }

    /// Sets the seconds that a session lives without a receiver.
    pub fn disconnect_delay_secs(mut self, secs: u64) -> Self {
        self.disconnect_delay_secs = secs;
        self
    }

    /// Sets the bytes after which a streaming answer ends.
    pub fn response_bytes_max(mut self, bytes: usize) -> Self {
        self.response_bytes_max = bytes;
        self
    }

    /// Asks that all requests of a session come from one address.
    pub fn same_address(mut self, on: bool) -> Self {
        self.same_address = on;
        self
    }

    /// Sets the address of the client library.
    pub fn client_url(mut self, url: impl Into<String>) -> Self {
        self.client_url = Some(url.into());
        self
    }

    /// Sets what the iframe page checks the client library against.
    pub fn client_integrity(mut self, integrity: impl Into<String>) -> Self {
        self.client_integrity = Some(integrity.into());
        self
    }

    /// Sends clients elsewhere for their transports.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets the bytes of a send request or of one WebSocket message.
    pub fn message_bytes_max(mut self, bytes: usize) -> Self {
        self.message_bytes_max = Some(bytes);
        self
    }

    /// Sets the bytes that may wait for one session.
    pub fn outbound_bytes_max(mut self, bytes: usize) -> Self {
        self.outbound_bytes_max = Some(bytes);
        self
    }

    /// Sets the bytes of messages that may wait for the app in one session.
    pub fn inbound_bytes_max(mut self, bytes: usize) -> Self {
        self.inbound_bytes_max = bytes;
        self
    }

    /// Sets the number of HTTP sessions at a time.
    pub fn sessions_max(mut self, count: usize) -> Self {
        self.sessions_max = count;
        self
    }

    /// Sets what clients are told when the server stops.
    pub fn go_away(mut self, reason: CloseReason) -> Self {
        self.go_away = reason;
        self
    }
}
