//! The `polywire` program from outside: each test starts the real binary on a free port, talks to it with
//! real clients, and stops it by its process id.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

mod audit;
mod bench;
mod command_line;
mod commands;
mod data_directory;
mod documentation;
mod drain;
mod emitter;
mod emitter_keys;
mod examples;
mod fairness;
mod faults;
mod history;
mod http2;
mod knsock;
mod knsock_shared_port;
mod listeners;
mod matrix;
mod memory_budget;
mod mqtt_among_others;
mod mqtt_bridge;
mod mqtt_sessions;
mod nginx;
mod operated;
mod origins;
mod payloads;
mod policies;
mod pubnub_connections;
mod pubnub_cursor;
mod pubnub_nodes;
mod pubnub_restart;
mod pubnub_sdk;
mod pubnub_versions;
mod revocation;
mod rights;
mod robustness;
mod rolling_restart;
mod seth_policies;
mod seth_redis;
mod seth_sockjs;
mod slow_starts;
mod soak;
mod sockjs_client;
mod tls;
mod webpubsub;
