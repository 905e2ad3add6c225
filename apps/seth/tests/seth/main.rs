//! Seth-Pusher from outside: its clients' messages and its HTTP API, with a server in this process.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod http;
mod messages;
mod nodes;
mod parts;
mod throttle;

use polywire_core::{Builder, Composition};
use polywire_seth::Seth;
use polywire_testing::Server;

/// In memory, everybody may do everything.
fn server() -> Server {
    Server::of::<Seth>("")
}

/// The same with the debug API.
fn debug_server() -> Server {
    Server::start(with_debug_api())
}

fn with_debug_api() -> Builder {
    let mut composition = Composition::default();
    composition.debug = true;
    Server::compose_in::<Seth>("", &composition)
}
