//! PUBACK, PUBREC, PUBREL and PUBCOMP from clients. Nearly all have no more than an id, and are read without a decoder.

use std::num::NonZeroU16;

/// What a client says of a message that is on its way, with the packet id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// The names that the standard has for the packets.
#[allow(clippy::enum_variant_names)]
pub(crate) enum Ack {
    /// It has a message of QoS 1.
    PubAck(NonZeroU16),
    /// It has a message of QoS 2.
    PubRec(NonZeroU16),
    /// It does not want a message of QoS 2, which ends there.
    PubRecRefused(NonZeroU16),
    /// It was told that its own message of QoS 2 arrived, and will not send it again.
    PubRel(NonZeroU16),
    /// It has forgotten the packet id of a message of QoS 2.
    PubComp(NonZeroU16),
}

impl Ack {
    /// Reads a packet that has no more than an id, in all versions; `None` for any other packet, also a wrong one.
    pub(crate) fn of([first, length, high, low]: [u8; 4]) -> Option<Self> {
        let id = NonZeroU16::new(u16::from_be_bytes([high, low]))?;
        match (first, length) {
            (0x40, 2) => Some(Self::PubAck(id)),
            (0x50, 2) => Some(Self::PubRec(id)),
            (0x62, 2) => Some(Self::PubRel(id)),
            (0x70, 2) => Some(Self::PubComp(id)),
            _ => None,
        }
    }
}
