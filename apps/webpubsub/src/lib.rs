//! Azure Web PubSub on polywire: its client SDKs connect by changing the address, its service SDKs send, manage
//! groups and permissions.

mod ack_ids;
mod app;
mod connection;
mod control;
mod dialect;
mod encoder;
mod endpoint;
mod event;
mod filter;
mod frame;
mod fuzzing;
mod keys;
mod names;
mod nodes;
mod operation;
mod output;
mod protocol;
mod rest;
mod rights;
mod session;
mod state;
mod webhook;

pub use self::{
    app::{ClientAccess, WebPubSub},
    event::{ConnectRequest, Connection, Event, EventFailure, EventHandler, Reply, Welcome},
    fuzzing::{read_filter, read_frame},
    webhook::{SystemEvent, Webhook, WebhookError},
};
