//! Connections: how they come, and what CONNECT does.

pub(crate) mod admission;
pub(crate) mod connection;
pub(crate) mod tcp;
pub(crate) mod websocket;
