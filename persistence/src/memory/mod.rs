//! History in memory: records in the segments of a log for each shard, and what is where for each channel.
//!
//! A publication is copied when it is kept, so that it holds nothing else: no buffer that it was read into and no room of the
//! allocator. Segments are all of one size and change hands between shards through a pool, so what is given back is used again,
//! whatever the sizes of the messages, and the bound is one of resident memory.
//!
//! 1. A record is appended to the log of its shard, and its channel's ring says where it is.
//! 2. What a rule or a deletion takes away leaves a hole. A segment without records goes back to the pool at once.
//! 3. At the bound the segment with the fewest records is cleared where holes are more than an eighth of all: its records are
//!    appended anew. Otherwise the records of the oldest segment go.

mod attached;
mod cells;
mod log;
mod policy;
mod pool;
mod record;
mod ring;
mod shard;

pub use self::policy::MemoryHistory;
