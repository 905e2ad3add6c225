//! MQTT on polywire: clients of 3.1, 3.1.1 and 5.0, over TCP and over WebSocket.

mod app;
mod client;
mod connect;
mod door;
mod encoder;
mod face;
mod in_flight;
mod incoming;
mod keys;
mod outgoing;
mod qos;
mod reader;
mod session;
mod settings;
mod subscription;
mod version;

pub use self::{
    app::{Emitter, PlainMqtt},
    face::Faces,
    settings::InvalidSetting,
};
