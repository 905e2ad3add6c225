//! Many nodes on one Redis.

mod actor;
mod backend;
mod backoff;
mod changes;
mod envelope;
mod history;
mod inbox;
mod names;
mod publishing;
mod script;
mod section;
mod settings;
mod subscriptions;

pub use self::{
    backend::Redis, history::RedisHistory, section::RedisSection, settings::RedisSettings,
};
