//! PUBLISH packets of publications, encoded once for all clients of a version and a QoS.

use std::{num::NonZeroU16, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use polywire_core::{
    Counter, Kind, Payload, Publication,
    delivery::{Encoder, Message},
};
use rmqtt_codec::types::QoS;

use super::{
    message_properties::{AT_ONCE, MessageProperties, is_taken},
    outgoing,
    publish_rewrite::expiring_at_once,
    remaining_length::variable_header,
    text::{TEXT_BYTES_MAX, is_topic},
    version::Version,
};

/// The wire formats of a version, by QoS.
pub(crate) type Encoders = [Arc<dyn Encoder>; 3];

/// Encodes publications as PUBLISH packets of one version and QoS.
#[derive(Debug)]
pub(crate) struct PublishEncoder {
    pub(crate) version: Version,
    pub(crate) qos: QoS,
    /// What stands behind the name of a channel: a slash for clients of the Emitter protocol.
    pub(crate) suffix: &'static str,
    /// Messages that no client can take.
    pub(crate) not_taken: Arc<Counter>,
}

impl Encoder for PublishEncoder {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let is_shown = matches!(publication.kind, Kind::Message | Kind::Signal | Kind::Clear);
        if !is_shown {
            return None;
        }
        let topic = publication.target.channel()?.as_str();
        // A name of another protocol that is no topic name would be a fault to the client.
        if !is_topic(topic) || topic.len() + self.suffix.len() > TEXT_BYTES_MAX {
            self.not_taken.add();
            return None;
        }
        let properties = MessageProperties::of(publication);
        if properties.as_ref().is_some_and(MessageProperties::is_over) {
            return None;
        }
        let expires = properties
            .as_ref()
            .and_then(|properties| properties.expires);
        let expires_at_once = expires == Some(AT_ONCE) && self.version == Version::V5;
        let properties = properties.map(|properties| {
            let mut properties = properties.to_packet();
            properties.is_utf8_payload &= !matches!(publication.payload, Payload::Binary(_));
            properties
        });
        // Whoever wrote them: without them it is a message all the same.
        let properties = properties.filter(is_taken);
        let payload = content(&publication.payload);
        let suffixed;
        let topic = match self.suffix {
            "" => topic,
            suffix => {
                suffixed = format!("{topic}{suffix}");
                &suffixed
            }
        };
        let id = (self.qos != QoS::AtMostOnce).then(|| packet_id(publication));
        let packet = outgoing::publish(self.version, self.qos, topic, id, payload, properties);
        if packet.is_none() {
            self.not_taken.add();
        }
        let packet = match expires_at_once {
            true => packet.map(expiring_at_once),
            false => packet,
        };
        packet.map(Message::Binary)
    }
}

/// The bytes that a client gets.
pub(crate) fn content(payload: &Payload) -> Bytes {
    match payload {
        Payload::Json(json) => json.clone().into_inner().into_bytes(),
        Payload::Text(text) => text.value().clone().into_bytes(),
        Payload::Binary(bytes) => bytes.clone(),
    }
}

/// The packet id that a publication is encoded with: a client that has no other message with it on its way gets the bytes
/// that all others get. Ids of publications that follow each other are far apart.
fn packet_id(publication: &Publication) -> NonZeroU16 {
    // Fibonacci hashing.
    let mixed = publication
        .position()
        .timetoken
        .0
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    NonZeroU16::new((mixed >> 48) as u16).unwrap_or(NonZeroU16::MIN)
}

/// Where the packet id of a PUBLISH packet that we wrote stands: behind the topic.
fn id_range(packet: &[u8]) -> Option<Range<usize>> {
    let topic = variable_header(packet)?;
    let length = packet.get(topic..)?.first_chunk::<2>()?;
    let id = topic + 2 + usize::from(u16::from_be_bytes(*length));
    Some(id..id + 2)
}

/// The packet id of a PUBLISH of QoS 1 or 2.
pub(crate) fn id_of(packet: &[u8]) -> Option<NonZeroU16> {
    let bytes = packet.get(id_range(packet)?)?.first_chunk::<2>()?;
    NonZeroU16::new(u16::from_be_bytes(*bytes))
}

/// The packet with another packet id.
pub(crate) fn with_id(packet: &[u8], id: u16) -> Bytes {
    let mut own = BytesMut::from(packet);
    let bytes = id_range(packet).and_then(|range| own.get_mut(range));
    if let Some(bytes) = bytes {
        bytes.copy_from_slice(&id.to_be_bytes());
    }
    own.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::outgoing::FIRST_ID;

    #[test]
    fn a_packet_id_is_replaced_and_nothing_else() {
        for (version, length) in [(Version::V3, 5), (Version::V5, 5), (Version::V3, 300)] {
            let make = |id| {
                let payload = Bytes::from(vec![b'x'; length]);
                let at_least_once = QoS::AtLeastOnce;
                outgoing::publish(version, at_least_once, "a/b", Some(id), payload, None).unwrap()
            };
            let other = std::num::NonZeroU16::new(0xabcd).unwrap();
            assert_eq!(with_id(&make(FIRST_ID), 0xabcd), make(other));
            assert_eq!(id_of(&make(other)), Some(other));
        }
    }
}
