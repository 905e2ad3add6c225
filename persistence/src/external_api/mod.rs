//! A store behind an HTTP API.

mod client;
mod dead_letters;
mod policy;
mod settings;

pub use self::{policy::ExternalApi, settings::ExternalApiSettings};
