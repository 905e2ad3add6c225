//! Persistence policies for polywire, and a way to combine them.

mod background;
mod external_api;
mod losses;
mod memory;
mod none;
mod record;
mod redis_stream;
mod rules;
mod tee;

pub use self::{
    external_api::{ExternalApi, ExternalApiSettings},
    memory::MemoryHistory,
    none::NoPersistence,
    redis_stream::{RedisStream, RedisStreamSettings},
    rules::{DurabilitySetting, Rule, RuleSettings, Rules},
    tee::{PersistencePolicyExt, Tee},
};
