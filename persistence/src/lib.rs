//! Persistence policies for polywire, and a way to combine them.

mod background;
mod disk;
mod external_api;
mod losses;
mod memory;
mod none;
mod record;
mod redis_stream;
mod tee;

#[doc(hidden)]
pub use self::disk::read_anything;
pub use self::{
    disk::{DiskBounds, DiskHistory, DiskSettings},
    external_api::{ExternalApi, ExternalApiSettings},
    memory::MemoryHistory,
    none::NoPersistence,
    redis_stream::{RedisStream, RedisStreamSettings},
    tee::{PersistencePolicyExt, Tee},
};
