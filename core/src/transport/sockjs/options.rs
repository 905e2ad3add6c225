//! Settings of a mounted SockJS endpoint.

use crate::transport::CloseReason;

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
    /// Seconds between heartbeats. Default 25.
    pub heartbeat_secs: u64,
    /// Seconds that a session lives without a receiver; then it is closed. Default 5.
    pub disconnect_delay_secs: u64,
    /// Bytes of frames after which a streaming answer ends and the client asks anew. Default 131,072.
    pub response_bytes_max: usize,
    /// Whether all requests of a session must come from one address; others are answered 404.
    pub same_address: bool,
    /// The address of the client library, for the iframe page.
    pub client_url: String,
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
            heartbeat_secs: 25,
            disconnect_delay_secs: 5,
            response_bytes_max: 128 << 10,
            same_address: false,
            client_url: "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js".into(),
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
        self.client_url = url.into();
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
