//! Azure Web PubSub on polywire: its client SDKs connect by changing the address, its service SDKs send, manage
//! groups and permissions.

mod ack_ids;
mod app;
mod bearer;
mod broker;
mod connection;
mod connection_index;
mod connection_records;
mod create_connection;
mod delivery_meta;
mod dialect;
mod encoder;
mod endpoint;
mod event;
mod event_handlers;
mod filter;
mod frame;
mod fuzzing;
mod hubs;
mod keys;
mod local_connections;
mod lost_nodes;
mod names;
mod nodes;
mod notices;
mod operation;
mod perform;
mod protocol;
mod recipients;
mod replay_buffer;
mod rest;
mod rights;
mod session;
mod settings;
mod transfer;
mod webhook;
mod wildcard;

pub use self::{
    app::{ClientAccess, WebPubSub},
    event::{ConnectRequest, Connection, Event, EventFailure, EventHandler, Reply, Welcome},
    fuzzing::{read_filter, read_frame, read_token},
    settings::{EventHandlerSettings, HubSettings, WebPubSubSettings},
    webhook::{SystemEvent, Webhook, WebhookError},
};
