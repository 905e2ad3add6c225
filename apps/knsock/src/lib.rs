//! kn-sock on polywire: newline-delimited JSON over TCP, for the unmodified `PubSubClient`.

mod app;
mod command;
mod encoder;
mod fuzzing;
mod gate;
mod hook;
mod line;
mod line_deadline;
mod plain;
mod session;
mod settings;

pub use self::{
    app::KnSock,
    command::Command,
    fuzzing::read_lines,
    hook::{Action, Hook},
    settings::KnSockSettings,
};
