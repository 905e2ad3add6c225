//! kn-sock on polywire: newline-delimited JSON over TCP, for the unmodified `PubSubClient`.

mod app;
mod command;
mod encoder;
mod hook;
mod line;
mod session;

pub use self::{
    app::KnSock,
    command::Command,
    hook::{Action, Hook},
};
