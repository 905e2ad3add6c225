//! Settings: sections of a configuration, each owned by the part that it is for.

mod problem;
mod secret;
mod section;
mod text;

pub use self::{problem::Problem, secret::Secret, section::Settings, text::text};
