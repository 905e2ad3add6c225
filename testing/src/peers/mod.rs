//! Peers: small clients of each protocol, on blocking sockets.

#![allow(missing_docs, reason = "what these do their names say")]

pub mod azure;
mod http;
mod lines;
mod mqtt;
mod proxy;
mod websocket;

pub use self::{
    http::{Answer, HttpConnection},
    lines::LineSocket,
    mqtt::MqttClient,
    proxy::CuttingProxy,
    websocket::WebSocketClient,
};
