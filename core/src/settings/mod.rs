//! Settings: sections of a configuration, each owned by the part that it is for.

mod memory_bytes;
mod problem;
mod secret;
mod section;
mod text;
mod texts;

pub use self::{
    memory_bytes::MemoryBytes, problem::Problem, secret::Secret, section::Settings, text::text,
    texts::texts,
};
