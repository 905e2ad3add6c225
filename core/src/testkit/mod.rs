//! Conformance suites for the core traits, and the simplest part of each sort.
//!
//! Run the suite of a trait on your own implementation in a test:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use polywire_core::testkit;
//!
//! testkit::backend_laws(testkit::LocalBackend::default).await;
//! # }
//! ```
//!
//! A suite needs a tokio runtime and nothing else; where a law is broken it panics and says which. What
//! the suites are made of is public too: a [`TestNode`] with one backend, a [`Recorder`] that keeps what
//! it was delivered, a [`RecordingPolicy`] that keeps what it was to store.

mod app;
mod authentication;
mod backend;
mod bus;
mod dispatcher;
mod history;
mod nodes;
mod parts;
mod persistence;
mod recorder;
mod redis_server;
mod samples;
mod test_node;
mod wait;

pub use self::{
    app::app_laws,
    authentication::authentication_laws,
    backend::backend_laws,
    bus::{Bus, BusBackend},
    dispatcher::dispatcher_laws,
    history::history_laws,
    nodes::backend_laws_of_nodes,
    parts::{AllowAll, LocalBackend, RecordingPolicy},
    persistence::persistence_laws,
    recorder::Recorder,
    redis_server::{RedisServer, RedisServerOptions},
    samples::sample_drafts,
    test_node::{Joined, TestNode},
    wait::{until, within},
};
