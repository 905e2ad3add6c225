//! What Redis keeps, to be read again from every node.

mod connection;
mod says;
mod store;

pub use self::store::RedisHistory;
