//! Composes the parts, listens, serves, and stops in order.

mod builder;
mod doors;
mod error;
mod listen;
mod runtime;
mod server;

pub use self::{
    builder::{AppRunner, Builder},
    error::{BindFailure, StartError},
    listen::{Listen, Listening},
    runtime::Runtime,
    server::Server,
};
