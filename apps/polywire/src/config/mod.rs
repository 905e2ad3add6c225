//! The configuration: defaults < TOML file < `POLYWIRE_` environment < flags.

mod choice;
mod listen;
mod load;
mod model;
mod problem;

pub use self::{
    choice::{AuthChoice, BackendChoice, LogFormat, PersistenceChoice},
    load::load,
    model::{Config, ListenSection},
    problem::{Problem, Problems},
};
pub use crate::apps::{AppName, AppSections};
pub use polywire_core::settings::Secret;
