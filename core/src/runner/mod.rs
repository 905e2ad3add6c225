//! The runner: composes the parts, listens, serves, and stops in order.

mod builder;
mod error;
mod from_settings;
mod listen;
mod listeners;
mod server;
mod shutdown;

pub use self::{
    builder::{AppRunner, Builder},
    error::{BindFailure, StartError},
    from_settings::{Composition, FromSettings},
    listen::Listen,
    server::Server,
    shutdown::Shutdown,
};
