//! History kept in Redis, to be read again from every node.

mod annotation_codec;
mod connection;
mod store;

pub use self::store::RedisHistory;
