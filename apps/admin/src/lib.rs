//! An HTTP API for operators: rights are taken back and given back, clients are sent away, put onto channels and taken
//! off them, on all nodes; and a node is drained.
//!
//! Whoever uses it needs the right to manage everything (`manage = "*"`). Whether the node is healthy is told everybody.

mod app;
mod call;
mod health;
mod reply;
mod settings;

pub use self::{app::AdminApi, settings::AdminSettings};
