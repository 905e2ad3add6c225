//! PUBLISH packets as one client gets them: what differs from what others get is put into a copy of the shared bytes.

use std::num::NonZeroU32;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    properties::{MESSAGE_EXPIRY, SUBSCRIPTION_IDENTIFIER},
    remaining_length::{self, split},
};

/// A PUBLISH packet, taken apart.
pub(super) struct Parts<'p> {
    first: u8,
    pub(super) topic: &'p [u8],
    /// Empty at QoS 0.
    packet_id: &'p [u8],
    /// Empty in 3.1.1, where there are none.
    properties: &'p [u8],
    payload: &'p [u8],
}

impl<'p> Parts<'p> {
    /// Of a packet of 5.0 that we wrote; `None` for one that is not PUBLISH.
    pub(super) fn of(packet: &'p [u8]) -> Option<Self> {
        let (first, rest) = packet.split_first()?;
        if first >> 4 != 3 {
            return None;
        }
        let (_, rest) = split(rest)?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (topic, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let id_bytes = if first & 0b110 == 0 { 0 } else { 2 };
        let (packet_id, rest) = rest.split_at_checked(id_bytes)?;
        let (length, rest) = split(rest)?;
        let (properties, payload) = rest.split_at_checked(length)?;
        Some(Self {
            first: *first,
            topic,
            packet_id,
            properties,
            payload,
        })
    }

    pub(super) fn write(&self, more: &[u8]) -> Bytes {
        let properties = self.properties.len() + more.len();
        let mut body =
            BytesMut::with_capacity(self.topic.len() + properties + self.payload.len() + 12);
        body.put_u16(self.topic.len() as u16);
        body.put_slice(self.topic);
        body.put_slice(self.packet_id);
        remaining_length::write(&mut body, properties);
        body.put_slice(self.properties);
        body.put_slice(more);
        body.put_slice(self.payload);
        let mut packet = BytesMut::with_capacity(body.len() + 5);
        packet.put_u8(self.first);
        remaining_length::write(&mut packet, body.len());
        packet.put_slice(&body);
        packet.freeze()
    }
}

/// The packet with the retain bit.
pub(crate) fn retained(packet: &Bytes) -> Bytes {
    let mut own = BytesMut::from(&packet[..]);
    if let Some(first) = own.first_mut() {
        *first |= 1;
    }
    own.freeze()
}

/// The packet of 5.0 with a message expiry interval of 0, which the encoder does not write.
pub(crate) fn expiring_at_once(packet: Bytes) -> Bytes {
    match Parts::of(&packet) {
        Some(parts) => parts.write(&[MESSAGE_EXPIRY, 0, 0, 0, 0]),
        None => packet,
    }
}

/// The packet of 5.0 with the identifiers of the subscriptions that it was found by.
pub(crate) fn with_subscriptions(packet: Bytes, ids: &[NonZeroU32]) -> Bytes {
    if ids.is_empty() {
        return packet;
    }
    let mut more = BytesMut::new();
    for id in ids {
        more.put_u8(SUBSCRIPTION_IDENTIFIER);
        remaining_length::write(&mut more, id.get() as usize);
    }
    match Parts::of(&packet) {
        Some(parts) => parts.write(&more),
        None => packet,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use rmqtt_codec::{
        types::{Publish, QoS},
        v5,
    };
    use tokio_util::codec::Decoder;

    use super::*;
    use crate::codec::outgoing::{self, FIRST_ID};

    pub(crate) fn written(publish: &Publish) -> Bytes {
        outgoing::v5(v5::Packet::Publish(Box::new(publish.clone()))).unwrap()
    }

    pub(crate) fn read(packet: &Bytes) -> Publish {
        let mut bytes = BytesMut::from(&packet[..]);
        match v5::Codec::new(0, 0).decode(&mut bytes) {
            Ok(Some((v5::Packet::Publish(publish), _))) => *publish,
            other => panic!("{other:?}"),
        }
    }

    prop_compose! {
        pub(crate) fn publishes()(
            topic in "[a-z/]{1,200}",
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            has_id in any::<bool>(),
            content_type in proptest::option::of("[a-z]{0,200}"),
        ) -> Publish {
            Publish {
                dup: false,
                retain: false,
                qos: if has_id { QoS::AtLeastOnce } else { QoS::AtMostOnce },
                topic: topic.into(),
                packet_id: has_id.then_some(FIRST_ID),
                payload: payload.into(),
                properties: Some(v5::PublishProperties {
                    content_type: content_type.map(Into::into),
                    ..v5::PublishProperties::default()
                }),
            }
        }
    }

    proptest! {
        #[test]
        fn identifiers_are_added_and_nothing_else(
            publish in publishes(),
            ids in proptest::collection::vec(1..268_435_455_u32, 0..5),
        ) {
            let ids: Vec<_> = ids.into_iter().filter_map(NonZeroU32::new).collect();
            let mut expected = publish.clone();
            expected.properties.as_mut().unwrap().subscription_ids.clone_from(&ids);
            prop_assert_eq!(read(&with_subscriptions(written(&publish), &ids)), expected);
        }

        #[test]
        fn the_retain_bit_is_set_and_nothing_else(publish in publishes()) {
            let expected = Publish { retain: true, ..publish.clone() };
            prop_assert_eq!(read(&retained(&written(&publish))), expected);
        }
    }
}
