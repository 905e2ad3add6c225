//! History in memory.

mod policy;
mod ring;
mod shard;

pub use self::policy::MemoryHistory;
