//! Tests of apps: a server in the process, nodes on a bus in memory, and small peers for each protocol.
//!
//! Peers hide nothing: what they are given goes out as it is, and what comes back is shown. They block, and so do the
//! tests that use them; the server runs on threads of its own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

pub mod attack;
pub mod checker;
mod dice;
mod endpoint;
pub mod faults;
pub mod peers;
mod redis;
mod server;
mod wait;

pub use polywire_auth as auth;
pub use polywire_persistence as persistence;

pub use self::{
    endpoint::Endpoint,
    redis::Redis,
    server::{Nodes, Server},
    wait::{RECOVERY, SOON, eventually, eventually_equal},
};
