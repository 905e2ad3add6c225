//! A secret in the query string.

mod policy;
mod settings;

pub use self::{policy::ApiKey, settings::ApiKeySettings};
