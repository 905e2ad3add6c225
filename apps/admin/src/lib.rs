//! An HTTP API for operators: rights are taken back and given back, clients are sent away, put onto channels and taken
//! off them, on all nodes.
//!
//! Whoever uses it needs the right to manage everything (`manage = "*"`).

mod app;
mod call;
mod reply;
mod settings;

pub use self::{app::AdminApi, settings::AdminSettings};
