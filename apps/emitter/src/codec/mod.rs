//! MQTT packets: from bytes to packets of clients, and from publications to packets for them. No state of a session, no I/O.

pub(crate) mod ack;
pub(crate) mod connect;
pub(crate) mod encoder;
pub(crate) mod filter;
pub(crate) mod incoming;
pub(crate) mod message_properties;
pub(crate) mod outgoing;
mod properties;
pub(crate) mod publish_rewrite;
pub(crate) mod reader;
pub(crate) mod remaining_length;
pub(crate) mod text;
pub(crate) mod topic_aliases;
pub(crate) mod version;
pub(crate) mod zero_packet_id;
