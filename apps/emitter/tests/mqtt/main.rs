//! What MQTT promises, with a server in this process and packets that are written by hand.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod client;
mod deadlines;
mod inflight;
mod qos2;
mod shared;
mod takeover;

use std::net::SocketAddr;

use polywire_core::{
    AppRunner, Limits,
    testkit::{AllowAll, LocalBackend},
};
use polywire_emitter::Emitter;

/// A server with the app alone. It stops with the test.
async fn server() -> SocketAddr {
    server_with(Limits::default()).await
}

async fn server_with(limits: Limits) -> SocketAddr {
    let server = AppRunner::builder(LocalBackend::default())
        .limits(limits)
        .authentication(AllowAll)
        .app(Emitter::default())
        .listen(([127, 0, 0, 1], 0).into())
        .build()
        .await
        .unwrap();
    let address = server.address().unwrap();
    tokio::spawn(server.run(std::future::pending()));
    address
}
