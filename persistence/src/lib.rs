//! Persistence policies for polywire, and ways to combine them.

mod background;
mod disk;
mod external_api;
mod losses;
mod memory;
mod namespaced;
mod none;
mod record;
mod redis_stream;
mod retry;
mod settings;
mod tee;

#[doc(hidden)]
pub use self::disk::read_anything;
pub use self::{
    disk::{DiskBounds, DiskHistory, DiskSettings},
    external_api::{ExternalApi, ExternalApiSection, ExternalApiSettings},
    memory::MemoryHistory,
    namespaced::Namespaced,
    none::NoPersistence,
    redis_stream::{RedisStream, RedisStreamSettings},
    retry::Retry,
    settings::HistorySettings,
    tee::{PersistencePolicyExt, Tee},
};
