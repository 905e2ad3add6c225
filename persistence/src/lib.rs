//! Persistence policies for polywire, and a way to combine them.

mod background;
mod external_api;
mod losses;
mod memory;
mod none;
mod record;
mod redis_stream;
mod tee;

pub use self::{
    external_api::{ExternalApi, ExternalApiSettings},
    memory::MemoryHistory,
    none::NoPersistence,
    redis_stream::{RedisStream, RedisStreamSettings},
    tee::{PersistencePolicyExt, Tee},
};
