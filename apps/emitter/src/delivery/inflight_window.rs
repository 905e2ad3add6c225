//! The inflight window: how many messages of QoS 1 and 2 a client takes before it confirms some (Receive Maximum).

use crate::codec::version::Version;

/// What a client takes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InflightWindow {
    pub(crate) version: Version,
    pub(crate) messages_max: usize,
    pub(crate) packet_bytes_max: usize,
}
