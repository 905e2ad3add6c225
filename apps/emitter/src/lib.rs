//! Emitter and MQTT on polywire: clients of 3.1, 3.1.1 and 5.0, over TCP and over WebSocket, with topics that begin
//! with a key, and with topics as they are.

mod app;
mod broker;
mod clock;
mod codec;
mod delivery;
mod emitter_mode;
mod from_settings;
#[doc(hidden)]
pub mod fuzzing;
mod server;
mod session;
mod sessions;
mod settings;

pub use self::{
    app::{Emitter, PlainMqtt},
    settings::{EmitterSettings, Faces, InvalidSetting, SessionLimits},
};
