//! Many nodes on one Redis.

mod actor;
mod backend;
mod backoff;
mod changes;
mod connector;
mod delivery;
mod envelope;
mod gap_repair;
mod heartbeat;
mod history;
mod inbox;
mod link_state;
mod listed;
mod missing;
mod names;
mod publishing;
mod script;
mod section;
mod settings;
mod subscriptions;
mod unusable;

pub use self::{
    backend::Redis, history::RedisHistory, section::RedisSection, settings::RedisSettings,
};
