//! Peers: small clients of each protocol, on blocking sockets.

#![allow(missing_docs, reason = "what these do their names say")]

pub mod azure;
mod gate;
mod history;
mod http;
mod lines;
mod mqtt;
mod proxy;
pub mod pubnub;
mod websocket;

pub use self::{
    gate::Gate,
    history::numbers,
    http::{Answer, HttpConnection},
    lines::LineSocket,
    mqtt::MqttClient,
    proxy::CuttingProxy,
    websocket::WebSocketClient,
};
