//! The nodes that share one channel space: which are there, and what they tell each other.

mod ask;
mod gossip;
mod message;
mod peers;
mod roster;

pub(crate) use self::gossip::Gossip;
pub use self::{
    ask::{Asked, Cluster, ClusterHandler, ClusterService, Unanswered},
    roster::Nodes,
};
