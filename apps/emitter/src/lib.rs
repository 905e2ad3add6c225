//! MQTT on polywire: clients of 3.1, 3.1.1 and 5.0, over TCP and over WebSocket.

mod app;
mod client;
mod connect;
mod door;
mod encoder;
mod in_flight;
mod incoming;
mod outgoing;
mod qos;
mod reader;
mod session;
mod subscription;
mod version;

pub use self::app::Emitter;
