//! The session of a client: what each of its packets does, and how it lives. One file a kind of packet.

pub(crate) mod absence;
pub(crate) mod context;
mod disconnect;
pub(crate) mod dispatch;
mod lifecycle;
mod puback;
mod pubcomp;
pub(crate) mod publish;
mod pubrec;
mod pubrel;
pub(crate) mod qos2_deduplication;
pub(crate) mod retained_replay;
pub(crate) mod state;
mod subscribe;
pub(crate) mod topic_aliases;
mod unsubscribe;
mod will;
