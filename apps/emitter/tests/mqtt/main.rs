//! What MQTT promises, with a server in this process and packets that are written by hand.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bridges;
mod client;
mod confinement;
mod deadlines;
mod endings;
mod inflight;
mod keys;
mod other_protocols;
mod poison;
mod policy;
mod presence;
mod proven_ids;
mod qos2;
mod retained;
mod shared;
mod strict;
mod subscriptions;
mod takeover;
mod throttle;
mod unheard;

use std::{net::SocketAddr, sync::Arc};

use polywire_core::{
    AppRunner, Builder, Limits, Space,
    testkit::{AllowAll, LocalBackend},
};
use polywire_emitter::Emitter;

/// A server with the app alone. It stops with the test.
async fn server() -> SocketAddr {
    server_with(Limits::default()).await
}

async fn server_with(limits: Limits) -> SocketAddr {
    let builder = AppRunner::builder(LocalBackend::default())
        .limits(limits)
        .authentication(AllowAll)
        .app(Emitter::default());
    start(builder).await.0
}

/// A server, which stops with the test, and its channel space.
async fn start(builder: Builder) -> (SocketAddr, Arc<Space>) {
    let builder = builder.listen(([127, 0, 0, 1], 0).into());
    let server = builder.build().await.unwrap();
    let (address, space) = (server.address().unwrap(), server.space().clone());
    tokio::spawn(server.run(std::future::pending()));
    (address, space)
}
