//! Composes the parts, listens, serves, and stops in order.

mod builder;
mod error;
mod runtime;
mod server;

pub use self::{
    builder::{AppRunner, Builder},
    error::StartError,
    runtime::Runtime,
    server::Server,
};
