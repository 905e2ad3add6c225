//! Limits of a client, as it said in CONNECT: its version of MQTT, and how long its packets may be.

use crate::codec::version::Version;

/// What a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientLimits {
    pub(crate) version: Version,
    pub(crate) packet_bytes_max: Option<usize>,
}

impl ClientLimits {
    /// True when a packet of so many bytes may be sent.
    pub(crate) fn accepts(&self, bytes: usize) -> bool {
        self.packet_bytes_max.is_none_or(|max| bytes <= max)
    }
}
