//! A server on a free port, and raw clients that see every byte.
//!
//! Clients block, with a deadline for each read: a test that waits for what never comes fails.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses another part"
)]

mod http_client;
mod server;
mod websocket_client;

pub use self::{
    http_client::{Answer, HttpClient},
    server::{Event, Settings, TestServer},
    websocket_client::{WebSocketClient, frame, masked_frame},
};
