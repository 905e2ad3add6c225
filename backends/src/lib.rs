//! Pub/sub backends for polywire: in memory, and Redis.

mod memory;
mod redis;

pub use self::{
    memory::Memory,
    redis::{Redis, RedisHistory, RedisSection, RedisSettings},
};
