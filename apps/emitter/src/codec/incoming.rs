//! Packets from clients after CONNECT, the same for all versions.

use std::num::NonZeroU16;

use bytes::BytesMut;
use bytestring::ByteString;
use rmqtt_codec::{
    error::DecodeError,
    types::Publish,
    v3,
    v5::{self, DisconnectReasonCode, RetainHandling, ToReasonCode},
};
use tokio_util::codec::Decoder;

use super::{
    ack::Ack, filter::SubscriptionOptions, message_properties::is_taken, text::is_topic,
    version::Version,
};

/// One filter of a SUBSCRIBE packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubscribeRequest {
    pub(crate) filter: ByteString,
    pub(crate) options: SubscriptionOptions,
    /// When retained messages are sent.
    pub(crate) retained: RetainHandling,
}

/// A packet after CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    Publish(Box<Publish>),
    Ack(Ack),
    Subscribe(NonZeroU16, Vec<SubscribeRequest>),
    Unsubscribe(NonZeroU16, Vec<ByteString>),
    Ping,
    Disconnect {
        /// The client wants its will to be published all the same.
        with_will: bool,
        /// Seconds that the session shall last, where the client says it anew.
        expiry_secs: Option<u32>,
    },
}

impl Incoming {
    /// Reads a whole packet.
    ///
    /// # Errors
    /// Why the connection is closed.
    pub(crate) fn decode(
        version: Version,
        mut packet: BytesMut,
    ) -> Result<Self, DisconnectReasonCode> {
        let reason = |error: DecodeError| match error {
            // Most of them have no word of their own.
            DecodeError::MaxSizeExceeded { .. } => error.to_reason_code(),
            _ => DisconnectReasonCode::MalformedPacket,
        };
        let malformed = DisconnectReasonCode::MalformedPacket;
        match version {
            Version::V3 => {
                let decoded = v3::Codec::new(0).decode(&mut packet).map_err(reason)?;
                let (packet, _) = decoded.ok_or(malformed)?;
                Self::of_v3(packet)
            }
            Version::V5 => {
                let decoded = v5::Codec::new(0, 0).decode(&mut packet).map_err(reason)?;
                let (packet, _) = decoded.ok_or(malformed)?;
                Self::of_v5(packet)
            }
        }
    }

    /// The first topic that the packet names.
    pub(crate) fn topic(&self) -> Option<&str> {
        match self {
            Self::Publish(publish) => Some(&publish.topic),
            Self::Subscribe(_, asked) => asked.first().map(|asked| &*asked.filter),
            Self::Unsubscribe(_, filters) => filters.first().map(|filter| &**filter),
            _ => None,
        }
    }

    fn of_v3(packet: v3::Packet) -> Result<Self, DisconnectReasonCode> {
        Ok(match packet {
            v3::Packet::Publish(publish) => Self::Publish(publish),
            v3::Packet::PublishAck { packet_id } => Self::Ack(Ack::PubAck(packet_id)),
            v3::Packet::PublishReceived { packet_id } => Self::Ack(Ack::PubRec(packet_id)),
            v3::Packet::PublishRelease { packet_id } => Self::Ack(Ack::PubRel(packet_id)),
            v3::Packet::PublishComplete { packet_id } => Self::Ack(Ack::PubComp(packet_id)),
            v3::Packet::Subscribe {
                packet_id,
                topic_filters,
            } => {
                let asked = topic_filters
                    .into_iter()
                    .map(|(filter, qos)| SubscribeRequest {
                        filter,
                        options: SubscriptionOptions::of_qos(qos),
                        retained: RetainHandling::AtSubscribe,
                    });
                Self::subscribe(packet_id, asked.collect())?
            }
            v3::Packet::Unsubscribe {
                packet_id,
                topic_filters,
            } => Self::unsubscribe(packet_id, topic_filters)?,
            v3::Packet::PingRequest => Self::Ping,
            v3::Packet::Disconnect => Self::Disconnect {
                with_will: false,
                expiry_secs: None,
            },
            // A second CONNECT, and what only servers send.
            _ => return Err(DisconnectReasonCode::ProtocolError),
        })
    }

    fn of_v5(packet: v5::Packet) -> Result<Self, DisconnectReasonCode> {
        Ok(match packet {
            v5::Packet::Publish(publish) => {
                let properties = publish.properties.as_ref();
                let is_wrong = |properties: &v5::PublishProperties| {
                    let answer = properties.response_topic.as_ref();
                    // Identifiers are the server's to say.
                    !properties.subscription_ids.is_empty()
                        || answer.is_some_and(|to| !is_topic(to))
                };
                if properties.is_some_and(is_wrong) {
                    return Err(DisconnectReasonCode::ProtocolError);
                }
                if properties.is_some_and(|properties| !is_taken(properties)) {
                    return Err(DisconnectReasonCode::MalformedPacket);
                }
                Self::Publish(publish)
            }
            v5::Packet::PublishAck(ack) => Self::Ack(Ack::PubAck(ack.packet_id)),
            v5::Packet::PublishReceived(ack) => {
                let is_refused = u8::from(ack.reason_code) >= 128;
                let kind = if is_refused {
                    Ack::PubRecRefused
                } else {
                    Ack::PubRec
                };
                Self::Ack(kind(ack.packet_id))
            }
            v5::Packet::PublishRelease(ack) => Self::Ack(Ack::PubRel(ack.packet_id)),
            v5::Packet::PublishComplete(ack) => Self::Ack(Ack::PubComp(ack.packet_id)),
            v5::Packet::Subscribe(subscribe) => {
                let asked = subscribe.topic_filters.into_iter();
                let asked = asked.map(|(filter, options)| SubscribeRequest {
                    filter,
                    options: SubscriptionOptions {
                        qos: options.qos,
                        no_local: options.no_local,
                        as_published: options.retain_as_published,
                        id: subscribe.id,
                    },
                    retained: options.retain_handling,
                });
                Self::subscribe(subscribe.packet_id, asked.collect())?
            }
            v5::Packet::Unsubscribe(unsubscribe) => {
                Self::unsubscribe(unsubscribe.packet_id, unsubscribe.topic_filters)?
            }
            v5::Packet::PingRequest => Self::Ping,
            v5::Packet::Disconnect(disconnect) => Self::Disconnect {
                with_will: disconnect.reason_code != DisconnectReasonCode::NormalDisconnection,
                expiry_secs: disconnect.session_expiry_interval_secs,
            },
            _ => return Err(DisconnectReasonCode::ProtocolError),
        })
    }

    fn subscribe(
        id: NonZeroU16,
        requests: Vec<SubscribeRequest>,
    ) -> Result<Self, DisconnectReasonCode> {
        if requests.is_empty() {
            return Err(DisconnectReasonCode::ProtocolError);
        }
        Ok(Self::Subscribe(id, requests))
    }

    fn unsubscribe(id: NonZeroU16, filters: Vec<ByteString>) -> Result<Self, DisconnectReasonCode> {
        if filters.is_empty() {
            return Err(DisconnectReasonCode::ProtocolError);
        }
        Ok(Self::Unsubscribe(id, filters))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_packet_of_a_client_is_refused() {
        for (version, packet) in [
            (Version::V3, &[0x36, 5, 0, 1, b'a', 0, 1][..]), // QoS 3
            (Version::V3, &[0x32, 5, 0, 1, b'a', 0, 0]),     // packet id 0
            (Version::V3, &[0x82, 2, 0, 1]),                 // no filter
            (Version::V3, &[0x80, 6, 0, 1, 0, 1, b'a', 0]),  // reserved flags
            (Version::V3, &[0x20, 2, 0, 0]),                 // CONNACK
            (Version::V3, &[0x30, 3, 0, 1, 0xff]),           // not UTF-8
            (Version::V5, &[0xf0, 0]),                       // AUTH
            (Version::V5, &[0x00, 0]),                       // no such type
        ] {
            let decoded = Incoming::decode(version, BytesMut::from(packet));
            assert!(decoded.is_err(), "{packet:02x?}: {decoded:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_alone_is_read_as_the_codec_reads_it(packet in any::<[u8; 4]>(), kind in 0..6_usize) {
            let [_, _, high, low] = packet;
            let first = [packet[0], 0x40, 0x50, 0x62, 0x70, 0x60][kind];
            for packet in [packet, [first, 2, high, low]] {
                let Some(ack) = Ack::of(packet) else {
                    continue;
                };
                for version in [Version::V3, Version::V5] {
                    let decoded = Incoming::decode(version, BytesMut::from(&packet[..]));
                    prop_assert_eq!(decoded, Ok(Incoming::Ack(ack)));
                }
            }
        }

        #[test]
        fn any_bytes_are_a_packet_or_refused(
            first in any::<u8>(),
            body in proptest::collection::vec(any::<u8>(), 0..127),
        ) {
            let mut packet = vec![first, body.len() as u8];
            packet.extend(body);
            for version in [Version::V3, Version::V5] {
                let _ = Incoming::decode(version, BytesMut::from(&packet[..]));
            }
        }
    }
}
