//! A queued PUBLISH: a message of QoS 1 or 2 that waits for its client, or for what its client says of it.

use std::num::NonZeroU32;

use bytes::{Bytes, BytesMut};
use polywire_core::Timetoken;
use rmqtt_codec::{types::Publish, v3, v5};
use tokio_util::codec::Decoder;

use crate::{
    clock::{now, secs_until},
    codec::{
        message_properties::{AT_ONCE, is_taken},
        outgoing,
        text::is_topic,
        version::Version,
    },
};

/// What a packet costs besides its bytes.
const OVERHEAD: usize = 96;

/// A message of QoS 1 or 2 that waits for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuedPublish {
    /// PUBLISH, with a packet id that is replaced when it is sent. Shared with the other clients that get the same.
    pub(crate) packet: Bytes,
    pub(crate) version: Version,
    /// When it was published.
    pub(crate) at: Timetoken,
    /// When nobody wants it any more, in seconds since 1970, or [`AT_ONCE`].
    pub(crate) expires: Option<u64>,
}

impl QueuedPublish {
    /// Bytes that it counts.
    pub(crate) fn cost(&self) -> usize {
        self.packet.len() + OVERHEAD
    }

    /// True for what is not worth keeping until its client takes it.
    pub(crate) fn cannot_wait(&self) -> bool {
        self.expires == Some(AT_ONCE)
    }

    /// The packet as it is now, with the time that is left; `None` when nobody wants it any more.
    pub(crate) fn packet(&self) -> Option<Bytes> {
        // What cannot wait did not.
        let Some(expires) = self.expires.filter(|expires| *expires != AT_ONCE) else {
            return Some(self.packet.clone());
        };
        if expires <= now() {
            return None;
        }
        let left = secs_until(expires);
        if self.version == Version::V3 {
            return Some(self.packet.clone());
        }
        let mut publish = read(&self.packet, Version::V5)?;
        let left = NonZeroU32::new(u32::try_from(left).unwrap_or(u32::MAX));
        publish
            .properties
            .get_or_insert_default()
            .message_expiry_interval = left;
        outgoing::v5(v5::Packet::Publish(Box::new(publish)))
    }

    /// False for what no client takes, as an earlier version may have written it down.
    pub(crate) fn is_taken(&self) -> bool {
        read(&self.packet, self.version).is_some_and(|publish| {
            is_topic(&publish.topic) && publish.properties.as_ref().is_none_or(is_taken)
        })
    }

    /// The same for a client that has come back with another version.
    pub(crate) fn translated(self, version: Version) -> Option<Self> {
        if self.version == version {
            return Some(self);
        }
        let mut publish = read(&self.packet, self.version)?;
        let packet = match version {
            Version::V3 => {
                publish.properties = None;
                outgoing::v3(v3::Packet::Publish(Box::new(publish)))
            }
            Version::V5 => {
                publish.properties = Some(v5::PublishProperties::default());
                outgoing::v5(v5::Packet::Publish(Box::new(publish)))
            }
        };
        Some(Self {
            packet: packet?,
            version,
            ..self
        })
    }
}

/// A packet that we wrote.
fn read(packet: &Bytes, version: Version) -> Option<Publish> {
    let mut bytes = BytesMut::from(&packet[..]);
    match version {
        Version::V3 => match v3::Codec::new(0).decode(&mut bytes) {
            Ok(Some((v3::Packet::Publish(publish), _))) => Some(*publish),
            _ => None,
        },
        Version::V5 => match v5::Codec::new(0, 0).decode(&mut bytes) {
            Ok(Some((v5::Packet::Publish(publish), _))) => Some(*publish),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use rmqtt_codec::types::QoS;

    use super::*;
    use crate::codec::outgoing::FIRST_ID;

    fn queued(version: Version, expires: Option<u64>) -> QueuedPublish {
        let properties = v5::PublishProperties {
            content_type: Some("text/plain".into()),
            message_expiry_interval: NonZeroU32::new(1000),
            ..v5::PublishProperties::default()
        };
        let payload = Bytes::from_static(b"x");
        let qos = QoS::AtLeastOnce;
        let packet = outgoing::publish(
            version,
            qos,
            "a/b",
            Some(FIRST_ID),
            payload,
            Some(properties),
        );
        QueuedPublish {
            packet: packet.unwrap(),
            version,
            at: Timetoken(1),
            expires,
        }
    }

    #[test]
    fn the_time_that_is_left_is_said() {
        let queued = queued(Version::V5, Some(now() + 50));
        let publish = read(&queued.packet().unwrap(), Version::V5).unwrap();
        let properties = publish.properties.unwrap();
        let left = properties.message_expiry_interval.unwrap().get();
        assert!((48..=50).contains(&left), "{left}");
        assert_eq!(properties.content_type, Some("text/plain".into()));
        assert_eq!(publish.packet_id, Some(FIRST_ID));
    }

    #[test]
    fn what_no_client_takes_is_told_from_the_rest() {
        for version in [Version::V3, Version::V5] {
            let queued = queued(version, None);
            assert!(queued.is_taken());
            let mut packet = queued.packet.to_vec();
            let topic = packet.windows(3).position(|bytes| bytes == b"a/b").unwrap();
            packet[topic + 1] = 0;
            let packet = packet.into();
            assert!(!QueuedPublish { packet, ..queued }.is_taken());
        }
        let response_topic = Some("a\0b".into());
        let properties = v5::PublishProperties {
            response_topic,
            ..v5::PublishProperties::default()
        };
        let (qos, payload) = (QoS::AtLeastOnce, Bytes::new());
        let packet = outgoing::publish(
            Version::V5,
            qos,
            "a",
            Some(FIRST_ID),
            payload,
            Some(properties),
        );
        let packet = packet.unwrap();
        let poison = QueuedPublish {
            packet,
            ..queued(Version::V5, None)
        };
        assert!(!poison.is_taken());
    }

    #[test]
    fn what_has_expired_is_not_sent() {
        for version in [Version::V3, Version::V5] {
            assert_eq!(queued(version, Some(now() - 1)).packet(), None);
            assert!(queued(version, Some(now() + 60)).packet().is_some());
        }
    }

    #[test]
    fn a_client_may_come_back_with_another_version() {
        for (from, to) in [(Version::V3, Version::V5), (Version::V5, Version::V3)] {
            let before = queued(from, None);
            let after = before.clone().translated(to).unwrap();
            let (before, after) = (
                read(&before.packet, from).unwrap(),
                read(&after.packet, to).unwrap(),
            );
            assert_eq!(
                (before.topic, before.payload, before.qos, before.packet_id),
                (after.topic, after.payload, after.qos, after.packet_id)
            );
        }
    }
}
