//! A store behind an HTTP API.

mod client;
mod dead_letters;
mod policy;
mod section;
mod settings;

pub use self::{policy::ExternalApi, section::ExternalApiSection, settings::ExternalApiSettings};
