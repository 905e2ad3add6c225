//! Composes the parts, listens, serves, and stops in order.

mod builder;
mod error;
mod listen;
mod listeners;
mod server;

pub use self::{
    builder::{AppRunner, Builder},
    error::{BindFailure, StartError},
    listen::Listen,
    server::Server,
};
