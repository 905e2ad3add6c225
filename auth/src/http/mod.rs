//! A service of one's own that says who somebody is.

mod answer;
mod cache;
mod policy;
mod settings;

pub use self::{policy::Http, settings::HttpSettings};
