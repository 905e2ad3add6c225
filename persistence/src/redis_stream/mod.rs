//! Capped streams in Redis.

mod policy;
mod settings;
mod writer;

pub use self::{policy::RedisStream, settings::RedisStreamSettings};
