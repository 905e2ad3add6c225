//! Emitter and MQTT on polywire: clients of 3.1, 3.1.1 and 5.0, over TCP and over WebSocket, with topics that begin
//! with a key, and with topics as they are.

mod about;
mod admission;
mod app;
mod budget;
mod by_id;
mod client;
mod connect;
mod connection;
mod contact;
mod door;
mod encoder;
mod face;
mod from_settings;
#[doc(hidden)]
pub mod fuzzing;
mod in_flight;
mod incoming;
mod keys;
mod line;
mod outgoing;
mod own;
mod parcel;
mod reader;
mod retained;
mod session;
mod sessions;
mod settings;
mod share;
mod shared;
mod subscription;
mod sys;
mod version;

pub use self::{
    app::{Emitter, PlainMqtt},
    face::Faces,
    settings::{EmitterSettings, FaceChoice, InvalidSetting, SessionLimits},
};
