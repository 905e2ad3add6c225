//! History on disk: an append-only log with checksums, and an index in memory.

mod attached;
mod channel;
mod compaction;
mod directory;
mod frame;
mod fuzzing;
mod history;
mod index;
mod list;
mod log;
mod names;
mod output;
mod place;
mod policy;
mod reading;
mod record;
mod recovery;
mod segments;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod writer;

#[doc(hidden)]
pub use self::fuzzing::read_anything;
pub use self::{
    policy::DiskHistory,
    settings::{DiskBounds, DiskSettings},
};
