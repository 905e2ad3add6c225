//! Sessions by client id, also of clients that are away: who has them, what is written down of them, and how they move
//! between nodes.

pub(crate) mod manager;
mod node_messages;
mod owner;
mod record;
mod records;
mod restore;
pub(crate) mod slot;
mod start;
mod takeover;
