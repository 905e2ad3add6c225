//! Settings of a WebSocket endpoint.

use std::sync::Arc;

use crate::{
    delivery::OutboxOptions,
    runtime::Runtime,
    transport::{CloseReason, Framing, http::AllowedOrigins},
};

/// How an endpoint speaks WebSocket.
#[derive(Debug, Clone)]
pub struct WebSocketOptions {
    /// The subprotocols that are spoken, empty for none.
    pub subprotocols: Vec<&'static str>,
    /// [`Framing::WebSocket`] or [`Framing::SockJsWebSocket`].
    pub framing: Framing,
    /// Pages of which sites may open one. Default: [those that are near](AllowedOrigins::near).
    pub allowed_origins: AllowedOrigins,
    /// Bytes of one message.
    pub message_bytes_max: usize,
    /// Seconds between heartbeats.
    pub heartbeat_secs: u64,
    /// Bounds of the outgoing queue.
    pub outbox: Arc<OutboxOptions>,
    /// What clients are told when the server stops.
    pub go_away: CloseReason,
}

impl WebSocketOptions {
    /// Plain WebSocket with the limits of the runtime.
    pub fn new(runtime: &Runtime, framing: Framing) -> Self {
        let limits = runtime.limits();
        Self {
            subprotocols: Vec::new(),
            framing,
            allowed_origins: AllowedOrigins::near(),
            message_bytes_max: limits.message_bytes_max,
            heartbeat_secs: 25,
            outbox: Arc::new(OutboxOptions {
                bytes_max: limits.outbound_bytes_max,
                stall: limits.outbound_stall(),
                farewell: framing.close(&CloseReason::SLOW_CONSUMER),
            }),
            go_away: CloseReason::GO_AWAY,
        }
    }
}
