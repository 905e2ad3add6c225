//! Packets to clients, of any version.

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use rmqtt_codec::{
    types::{Publish, QoS},
    v3,
    v5::{self, DisconnectReasonCode},
};
use tokio_util::codec::Encoder;

use super::{text::is_text, version::Version};

/// Bytes of a payload: with a topic and properties it is to fit the longest packet (MQTT 5.0 section 1.5.5).
const PAYLOAD_BYTES_MAX: usize = 128 << 20;

/// Bytes of a sentence about what is wrong.
const REASON_BYTES_MAX: usize = 512;

/// Why a subscription is refused for which there is no room.
pub(crate) const SUBSCRIPTIONS_FULL: &str = "Your subscriptions take as much room as one connection has: unsubscribe from some, or connect again for more.";

/// Some packet id.
#[cfg(test)]
pub(crate) const FIRST_ID: NonZeroU16 = NonZeroU16::MIN;

/// A packet of 3.1.1; `None` where it cannot be written, as when it would be too long for the protocol.
pub(crate) fn v3(packet: v3::Packet) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    v3::Codec::new(0).encode(packet, &mut bytes).ok()?;
    Some(bytes.freeze())
}

/// A packet of 5.0.
pub(crate) fn v5(packet: v5::Packet) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    v5::Codec::new(0, 0).encode(packet, &mut bytes).ok()?;
    Some(bytes.freeze())
}

pub(crate) fn publish(
    version: Version,
    qos: QoS,
    topic: &str,
    packet_id: Option<NonZeroU16>,
    payload: Bytes,
    properties: Option<v5::PublishProperties>,
) -> Option<Bytes> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let publish = Box::new(Publish {
        dup: false,
        retain: false,
        qos,
        topic: topic.into(),
        packet_id,
        payload,
        properties: properties.filter(|_| version == Version::V5),
    });
    match version {
        Version::V3 => v3(v3::Packet::Publish(publish)),
        Version::V5 => v5(v5::Packet::Publish(publish)),
    }
}

/// The server ends the connection; 3.1.1 has no word for it.
///
/// There is a text for people in it: some clients look at the code only where more follows.
pub(crate) fn disconnect(version: Version, reason: DisconnectReasonCode) -> Option<Bytes> {
    let text = match reason {
        DisconnectReasonCode::NotAuthorized => "your rights have ended, or were taken back",
        DisconnectReasonCode::AdministrativeAction => "the server sent you away",
        DisconnectReasonCode::KeepAliveTimeout => "no packet came in time",
        DisconnectReasonCode::MalformedPacket => "a packet was malformed",
        DisconnectReasonCode::PacketTooLarge => "a packet was too long",
        DisconnectReasonCode::ServerShuttingDown => "the server stops",
        DisconnectReasonCode::SessionTakenOver => "the client id connected again",
        DisconnectReasonCode::TopicAliasInvalid => "there is no such topic alias",
        DisconnectReasonCode::TopicNameInvalid => "the topic is empty or has a wildcard",
        _ => "the rules of the protocol were broken",
    };
    let mut disconnect = v5::Disconnect::new(reason);
    disconnect.reason_string = Some(text.into());
    match version {
        Version::V3 => None,
        Version::V5 => v5(v5::Packet::Disconnect(disconnect)),
    }
}

pub(crate) fn pingresp(version: Version) -> Option<Bytes> {
    match version {
        Version::V3 => v3(v3::Packet::PingResponse),
        Version::V5 => v5(v5::Packet::PingResponse),
    }
}

/// PUBACK, or PUBREC for QoS 2; `why` is for people.
pub(crate) fn puback_or_pubrec(
    version: Version,
    qos: QoS,
    packet_id: NonZeroU16,
    reason_code: v5::PublishAckReason,
    why: Option<&str>,
) -> Option<Bytes> {
    let ack = v5::PublishAck {
        packet_id,
        reason_code,
        properties: Vec::new(),
        // It may repeat what the client said, which is no reason to stay without an answer.
        reason_string: why
            .filter(|why| why.len() <= REASON_BYTES_MAX && is_text(why))
            .map(Into::into),
    };
    match (version, qos) {
        (Version::V3, QoS::ExactlyOnce) => v3(v3::Packet::PublishReceived { packet_id }),
        (Version::V3, _) => v3(v3::Packet::PublishAck { packet_id }),
        (Version::V5, QoS::ExactlyOnce) => v5(v5::Packet::PublishReceived(ack)),
        (Version::V5, _) => v5(v5::Packet::PublishAck(ack)),
    }
}

/// PUBLISH with the bit that says that it may have come before.
pub(crate) fn sent_again(packet: &[u8]) -> Bytes {
    let mut own = BytesMut::from(packet);
    if let Some(first) = own.first_mut() {
        *first |= 0b1000;
    }
    own.freeze()
}

/// PUBREL, the second step of QoS 2 towards a client.
pub(crate) fn pubrel(version: Version, packet_id: NonZeroU16) -> Option<Bytes> {
    match version {
        Version::V3 => v3(v3::Packet::PublishRelease { packet_id }),
        Version::V5 => v5(v5::Packet::PublishRelease(second(packet_id, true))),
    }
}

/// PUBCOMP, the last step of QoS 2 from a client.
pub(crate) fn pubcomp(version: Version, packet_id: NonZeroU16, known: bool) -> Option<Bytes> {
    match version {
        Version::V3 => v3(v3::Packet::PublishComplete { packet_id }),
        Version::V5 => v5(v5::Packet::PublishComplete(second(packet_id, known))),
    }
}

fn second(packet_id: NonZeroU16, known: bool) -> v5::PublishAck2 {
    v5::PublishAck2 {
        packet_id,
        reason_code: if known {
            v5::PublishAck2Reason::Success
        } else {
            v5::PublishAck2Reason::PacketIdNotFound
        },
        properties: Vec::new(),
        reason_string: None,
    }
}

/// SUBACK, with one answer for each filter; `has_words`: the client is told in words what is wrong.
pub(crate) fn suback(
    version: Version,
    packet_id: NonZeroU16,
    answers: Vec<Result<QoS, v5::SubscribeAckReason>>,
    has_words: bool,
) -> Option<Bytes> {
    let is_full = answers.contains(&Err(v5::SubscribeAckReason::QuotaExceeded));
    match version {
        Version::V3 => v3(v3::Packet::SubscribeAck {
            packet_id,
            status: answers
                .into_iter()
                .map(|answer| match answer {
                    Ok(qos) => v3::SubscribeReturnCode::Success(qos),
                    Err(_) => v3::SubscribeReturnCode::Failure,
                })
                .collect(),
        }),
        Version::V5 => v5(v5::Packet::SubscribeAck(v5::SubscribeAck {
            packet_id,
            properties: Vec::new(),
            reason_string: (is_full && has_words).then(|| SUBSCRIPTIONS_FULL.into()),
            status: answers
                .into_iter()
                .map(|answer| match answer {
                    Ok(QoS::AtMostOnce) => v5::SubscribeAckReason::GrantedQos0,
                    Ok(QoS::AtLeastOnce) => v5::SubscribeAckReason::GrantedQos1,
                    Ok(QoS::ExactlyOnce) => v5::SubscribeAckReason::GrantedQos2,
                    Err(reason) => reason,
                })
                .collect(),
        })),
    }
}

/// UNSUBACK; for each filter whether there was a subscription.
pub(crate) fn unsuback(version: Version, packet_id: NonZeroU16, existed: &[bool]) -> Option<Bytes> {
    match version {
        Version::V3 => v3(v3::Packet::UnsubscribeAck { packet_id }),
        Version::V5 => v5(v5::Packet::UnsubscribeAck(v5::UnsubscribeAck {
            packet_id,
            properties: Vec::new(),
            reason_string: None,
            status: existed
                .iter()
                .map(|existed| {
                    if *existed {
                        v5::UnsubscribeAckReason::Success
                    } else {
                        v5::UnsubscribeAckReason::NoSubscriptionExisted
                    }
                })
                .collect(),
        })),
    }
}
