//! Delivery to one client, from a publication to its connection: what it gets, in which packets, and what waits for it.

pub(crate) mod budget;
pub(crate) mod client_limits;
pub(crate) mod connection_handle;
mod effective_subscription;
pub(crate) mod ended_sessions;
pub(crate) mod inflight_snapshot;
pub(crate) mod inflight_window;
mod keep_alive;
pub(crate) mod packet_id_map;
pub(crate) mod presence;
pub(crate) mod publisher;
pub(crate) mod queue_log;
pub(crate) mod queued_publish;
pub(crate) mod redelivery;
pub(crate) mod route;
pub(crate) mod send_queue;
pub(crate) mod subscriber;
pub(crate) mod subscriber_rules;
pub(crate) mod subscriptions;
pub(crate) mod username;
