//! A secret in a header.

mod policy;
mod settings;

pub use self::{policy::Header, settings::HeaderSettings};
