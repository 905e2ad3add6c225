//! Settings of a WebSocket endpoint.

use std::sync::Arc;

use crate::{
    counters::Counter,
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
    /// Control frames and empty fragments that may come in ten seconds.
    pub idle_frames_max: u32,
    /// Connections that were closed because more came.
    pub idle: Arc<Counter>,
    /// Connections that were closed because a message did not come to its end.
    pub late: Arc<Counter>,
    /// Seconds between heartbeats.
    pub heartbeat_secs: u64,
    /// Bounds of the outgoing queue.
    pub outbox: Arc<OutboxOptions>,
    /// What clients are told when the server stops; `None` where the app closes them then.
    pub go_away: Option<CloseReason>,
}

impl WebSocketOptions {
    /// Plain WebSocket with the limits of the runtime, for clients of `app`.
    pub fn new(runtime: &Runtime, app: &'static str, framing: Framing) -> Self {
        let (limits, counters) = (runtime.limits(), runtime.counters());
        let farewell = framing.close(&CloseReason::SLOW_CONSUMER);
        Self {
            subprotocols: Vec::new(),
            framing,
            allowed_origins: AllowedOrigins::near(),
            message_bytes_max: limits.message_bytes_max,
            heartbeat_secs: 25,
            idle_frames_max: limits.idle_frames_max,
            idle: counters.of(app, "closed a WebSocket: too many frames without data"),
            late: counters.of(
                app,
                "closed a WebSocket: a message did not come to its end in time",
            ),
            outbox: Arc::new(OutboxOptions::new(limits, counters, app, farewell)),
            go_away: Some(CloseReason::GO_AWAY),
        }
    }
}
