//! Support of the tests: the server as a process, clients, a Redis, a place that webhooks go to.

pub(crate) mod azure;
mod example;
mod http;
mod lines;
mod mqtt;
mod process;
mod proxy;
mod redis;
mod server;
mod sink;
pub(crate) mod tls;
mod websocket;

pub(crate) use self::{
    example::Example,
    http::{Answer, HttpConnection},
    lines::LineSocket,
    mqtt::MqttClient,
    process::{Process, node, python, run_node},
    proxy::CuttingProxy,
    redis::Redis,
    server::{Server, ServerOptions, config_file, polywire},
    sink::Sink,
    websocket::WebSocketClient,
};

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How long anything may take that should happen at once. Generous: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How long a server may take to find its Redis again: it waits longer and longer between tries.
pub(crate) const RECOVERY: Duration = Duration::from_secs(40);

/// Looks again and again until there is something, and panics with `what` when there is nothing in time.
pub(crate) fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Like [`eventually`], for a value that must become equal to `expected`.
pub(crate) fn eventually_equal<T: PartialEq + Debug>(expected: &T, mut look: impl FnMut() -> T) {
    let deadline = Instant::now() + SOON;
    loop {
        let found = look();
        if found == *expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "not within {SOON:?}: expected {expected:?}, found {found:?}"
        );
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
