//! Packets from clients after CONNECT, the same for all versions.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::BytesMut;
use bytestring::ByteString;
use rmqtt_codec::{
    error::DecodeError,
    types::{Publish, QoS},
    v3,
    v5::{self, DisconnectReasonCode, RetainHandling, ToReasonCode},
};
use tokio_util::codec::Decoder;

use super::{
    ack::Ack,
    filter::SubscriptionOptions,
    message_properties::is_taken,
    properties::{self, SUBSCRIPTION_IDENTIFIER},
    remaining_length::variable_header,
    text::is_topic,
    version::Version,
};

/// The first byte of SUBSCRIBE.
const SUBSCRIBE: u8 = 0x82;

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
    Publish {
        publish: Box<Publish>,
        /// Seconds that the message is wanted; the decoder knows no 0.
        expiry_secs: Option<u32>,
    },
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
                if has_reserved_bits(&packet) {
                    return Err(malformed);
                }
                let decoded = v3::Codec::new(0).decode(&mut packet).map_err(reason)?;
                let (packet, _) = decoded.ok_or(malformed)?;
                Self::of_v3(packet)
            }
            Version::V5 => {
                if has_zero_identifier(&packet) {
                    return Err(DisconnectReasonCode::ProtocolError);
                }
                let expires_at_once = expires_at_once(&mut packet);
                let decoded = v5::Codec::new(0, 0).decode(&mut packet).map_err(reason)?;
                let (packet, _) = decoded.ok_or(malformed)?;
                Self::of_v5(packet, expires_at_once)
            }
        }
    }

    /// The first topic that the packet names.
    pub(crate) fn topic(&self) -> Option<&str> {
        match self {
            Self::Publish { publish, .. } => Some(&publish.topic),
            Self::Subscribe(_, asked) => asked.first().map(|asked| &*asked.filter),
            Self::Unsubscribe(_, filters) => filters.first().map(|filter| &**filter),
            _ => None,
        }
    }

    fn of_v3(packet: v3::Packet) -> Result<Self, DisconnectReasonCode> {
        Ok(match packet {
            v3::Packet::Publish(publish) => Self::publish(publish, None)?,
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

    fn of_v5(packet: v5::Packet, expires_at_once: bool) -> Result<Self, DisconnectReasonCode> {
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
                let expiry = properties.and_then(|properties| properties.message_expiry_interval);
                let expiry_secs = match expires_at_once {
                    true => Some(0),
                    false => expiry.map(NonZeroU32::get),
                };
                Self::publish(publish, expiry_secs)?
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

    fn publish(
        publish: Box<Publish>,
        expiry_secs: Option<u32>,
    ) -> Result<Self, DisconnectReasonCode> {
        // Nothing is sent again at QoS 0 (MQTT 5.0 section 3.3.1.1).
        if publish.dup && publish.qos == QoS::AtMostOnce {
            return Err(DisconnectReasonCode::MalformedPacket);
        }
        Ok(Self::Publish {
            publish,
            expiry_secs,
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

/// True for a SUBSCRIBE of 3.1.1 that sets bits beside a QoS which have to be 0 (MQTT 3.1.1 section 3.8.3).
fn has_reserved_bits(packet: &[u8]) -> bool {
    if packet.first() != Some(&SUBSCRIBE) {
        return false;
    }
    // Behind the packet id.
    let mut at = variable_header(packet).map(|header| header + 2);
    while let Some(options) = at.and_then(|at| properties::behind_text(packet, at)) {
        match packet.get(options) {
            Some(options) if options & !0b11 != 0 => return true,
            Some(_) => at = Some(options + 1),
            None => break,
        }
    }
    false
}

/// True for a SUBSCRIBE of 5.0 with the subscription identifier 0, which is none (MQTT 5.0 section 3.8.2.1.2).
fn has_zero_identifier(packet: &[u8]) -> bool {
    if packet.first() != Some(&SUBSCRIBE) {
        return false;
    }
    let value = variable_header(packet)
        .and_then(|header| properties::find(packet, header + 2, SUBSCRIPTION_IDENTIFIER));
    value.is_some_and(|value| packet[value].iter().all(|byte| byte & 0x7f == 0))
}

/// True for a PUBLISH of 5.0 with the message expiry interval 0, in whose place there is another one then.
fn expires_at_once(packet: &mut [u8]) -> bool {
    let is_publish = packet.first().is_some_and(|first| first >> 4 == 3);
    let block = properties::of_publish(packet).filter(|_| is_publish);
    block.is_some_and(|block| properties::substitute_expiry(packet, block))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_expiry_of_0_is_one() {
        let decode = |properties: &[u8]| {
            let mut packet = vec![0x30, 4 + properties.len() as u8, 0, 1, b'a'];
            packet.push(properties.len() as u8);
            packet.extend(properties);
            match Incoming::decode(Version::V5, BytesMut::from(&packet[..])) {
                Ok(Incoming::Publish { expiry_secs, .. }) => expiry_secs,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[2, 0, 0, 0, 0]), Some(0));
        assert_eq!(decode(&[1, 1, 2, 0, 0, 1, 2]), Some(258));
    }

    #[test]
    fn a_subscription_identifier_of_0_is_against_the_protocol() {
        let decode = |properties: &[u8]| {
            let mut packet = vec![0x82, 7 + properties.len() as u8, 0, 1];
            packet.push(properties.len() as u8);
            packet.extend(properties);
            packet.extend([0, 1, b'a', 1]);
            Incoming::decode(Version::V5, BytesMut::from(&packet[..])).map(drop)
        };
        assert_eq!(decode(&[0x0b, 1]), Ok(()));
        for zero in [&[0x0b, 0][..], &[0x26, 0, 1, b'a', 0, 1, b'b', 0x0b, 0]] {
            assert_eq!(decode(zero), Err(DisconnectReasonCode::ProtocolError));
        }
    }

    #[test]
    fn what_is_no_packet_of_a_client_is_refused() {
        for (version, packet) in [
            (Version::V3, &[0x36, 5, 0, 1, b'a', 0, 1][..]), // QoS 3
            (Version::V3, &[0x32, 5, 0, 1, b'a', 0, 0]),     // packet id 0
            (Version::V3, &[0x82, 2, 0, 1]),                 // no filter
            (Version::V3, &[0x80, 6, 0, 1, 0, 1, b'a', 0]),  // reserved flags
            (Version::V3, &[0x82, 6, 0, 1, 0, 1, b'a', 4]),  // reserved bits of the options
            (
                Version::V3,
                &[0x82, 10, 0, 1, 0, 1, b'a', 1, 0, 1, b'b', 0x81],
            ), // of the second filter
            (Version::V3, &[0x38, 3, 0, 1, b'a']),           // DUP with QoS 0
            (Version::V5, &[0x38, 4, 0, 1, b'a', 0]),        // the same
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
