//! CONNECT, of any version, and the CONNACK of a refusal.

use std::num::NonZeroU32;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::{
    types::QoS,
    v3,
    v5::{self, ConnectAckReason},
};
use serde::{Deserialize, Serialize};
use tokio_util::codec::Decoder;

use super::{
    filter::number,
    message_properties::MessageProperties,
    outgoing,
    properties::{behind, behind_text, substitute_expiry},
    remaining_length::variable_header,
    version::Version,
};

/// CONNACK 1 of 3.1.1.
const WRONG_LEVEL: &[u8] = &[0x20, 2, 0, 1];

/// In the protocol level: the client is a bridge, as mosquitto says it in 3.1 and 3.1.1.
const BRIDGE: u8 = 0x80;

/// Flags of CONNECT.
const USER_NAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;

/// CONNACK 2 of 3.1.1.
const WRONG_CLIENT_ID: &[u8] = &[0x20, 2, 0, 2];

/// What is published when the client is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Will {
    pub(crate) topic: ByteString,
    pub(crate) payload: Bytes,
    #[serde(with = "number")]
    pub(crate) qos: QoS,
    #[serde(rename = "about")]
    pub(crate) properties: MessageProperties,
    /// How long it is wanted once it was published.
    pub(crate) expiry_secs: Option<u32>,
    /// How long it waits for the client to come back, in seconds.
    pub(crate) delay_secs: u32,
}

/// CONNECT, of any version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: ByteString,
    pub(crate) keep_alive_secs: u16,
    pub(crate) username: Option<ByteString>,
    pub(crate) password: Option<Bytes>,
    pub(crate) will: Option<Will>,
    /// The client does not want to go on with its earlier session.
    pub(crate) clean_start: bool,
    /// Seconds that the session shall last without a connection; the greatest number for always.
    pub(crate) session_expiry_secs: u32,
    /// Messages of QoS 1 and 2 that the client takes at a time.
    pub(crate) receive_max: Option<u16>,
    pub(crate) packet_bytes_max: Option<u32>,
    /// Short names of topics that the client allows.
    pub(crate) aliases_max: u16,
    /// The client wants an exchange of AUTH packets.
    pub(crate) enhanced: bool,
    /// The client wants to be told in words what is wrong (request problem information).
    pub(crate) wants_reason_strings: bool,
    /// The client is another broker: it gets nothing that came from it, and the retain bit as it was published.
    pub(crate) is_bridge: bool,
}

/// Where things stand in a CONNECT packet.
struct Layout {
    level: usize,
}

impl Layout {
    fn of(packet: &[u8]) -> Option<Self> {
        if *packet.first()? != 0x10 {
            return None;
        }
        let header = variable_header(packet)?;
        let names: [&[u8]; 2] = [b"\0\x04MQTT", b"\0\x06MQIsdp"];
        let begins = |name: &&[u8]| packet[header..].starts_with(name);
        let level = header + names.into_iter().find(begins)?.len();
        (level < packet.len()).then_some(Self { level })
    }

    fn flags(&self) -> usize {
        self.level + 1
    }

    /// The properties of 5.0, behind the keep-alive.
    fn properties(&self) -> usize {
        self.flags() + 3
    }
}

impl Connect {
    /// Reads a whole packet.
    ///
    /// # Errors
    /// What to send before the connection is closed; empty for nothing.
    pub(crate) fn decode(mut packet: BytesMut) -> Result<Self, Bytes> {
        let Some(layout) = Layout::of(&packet) else {
            return Err(Bytes::new());
        };
        let level = packet[layout.level];
        match level {
            3 | 4 => Self::decode_v3(packet, &layout),
            5 => Self::decode_v5(packet, &layout),
            // The decoder knows no bridges.
            _ if matches!(level & !BRIDGE, 3 | 4) => {
                packet[layout.level] &= !BRIDGE;
                let decoded = Self::decode_v3(packet, &layout);
                decoded.map(|connect| Self {
                    is_bridge: true,
                    ..connect
                })
            }
            _ => Err(Bytes::from_static(WRONG_LEVEL)),
        }
    }

    fn decode_v3(mut packet: BytesMut, layout: &Layout) -> Result<Self, Bytes> {
        let flags = packet.get(layout.flags()).copied().unwrap_or_default();
        // A password needs a user name (MQTT 3.1.1 section 3.1.2.9).
        if flags & (USER_NAME | PASSWORD) == PASSWORD {
            return Err(Bytes::new());
        }
        match v3::Codec::new(0).decode(&mut packet) {
            Ok(Some((v3::Packet::Connect(connect), _))) => Ok(Self::of_v3(*connect)),
            Err(rmqtt_codec::error::DecodeError::InvalidClientId) => {
                Err(Bytes::from_static(WRONG_CLIENT_ID))
            }
            _ => Err(Bytes::new()),
        }
    }

    fn decode_v5(mut packet: BytesMut, layout: &Layout) -> Result<Self, Bytes> {
        let flags = packet.get(layout.flags()).copied().unwrap_or_default();
        if let Some(flags) = packet.get_mut(layout.flags()) {
            // The decoder takes an empty client id with it only; one is assigned without it too.
            *flags |= CLEAN_START;
        }
        let will = || {
            let client_id = behind(&packet, layout.properties())?;
            behind_text(&packet, client_id)
        };
        let will = will().filter(|_| flags & WILL != 0);
        let expires_at_once = will.is_some_and(|will| substitute_expiry(&mut packet, will));
        let mut connect = match v5::Codec::new(0, 0).decode(&mut packet) {
            Ok(Some((v5::Packet::Connect(connect), _))) => Self::of_v5(*connect),
            _ => return Err(refused_v5(ConnectAckReason::MalformedPacket)),
        };
        connect.clean_start = flags & CLEAN_START != 0;
        if let Some(will) = connect.will.as_mut().filter(|_| expires_at_once) {
            will.expiry_secs = Some(0);
        }
        Ok(connect)
    }

    fn of_v3(connect: v3::Connect) -> Self {
        Self {
            version: Version::V3,
            client_id: connect.client_id,
            keep_alive_secs: connect.keep_alive,
            username: connect.username,
            password: connect.password,
            will: connect.last_will.map(|will| Will {
                topic: will.topic,
                payload: will.message,
                qos: will.qos,
                properties: MessageProperties::of_qos(will.qos).retained(will.retain),
                expiry_secs: None,
                delay_secs: 0,
            }),
            clean_start: connect.clean_session,
            // A session of 3.1.1 that outlives its connection does so without an end.
            session_expiry_secs: if connect.clean_session { 0 } else { u32::MAX },
            receive_max: None,
            packet_bytes_max: None,
            aliases_max: 0,
            enhanced: false,
            wants_reason_strings: false,
            is_bridge: false,
        }
    }

    fn of_v5(connect: v5::Connect) -> Self {
        Self {
            version: Version::V5,
            client_id: connect.client_id,
            keep_alive_secs: connect.keep_alive,
            username: connect.username,
            password: connect.password,
            will: connect.last_will.map(|will| Will {
                properties: MessageProperties::of_will(&will),
                expiry_secs: will.message_expiry_interval.map(NonZeroU32::get),
                delay_secs: will.will_delay_interval_sec.unwrap_or(0),
                topic: will.topic,
                payload: will.message,
                qos: will.qos,
            }),
            clean_start: connect.clean_start,
            session_expiry_secs: connect.session_expiry_interval_secs,
            receive_max: connect.receive_max.map(std::num::NonZeroU16::get),
            aliases_max: connect.topic_alias_max,
            packet_bytes_max: connect.max_packet_size.map(std::num::NonZeroU32::get),
            enhanced: connect.auth_method.is_some(),
            wants_reason_strings: connect.request_problem_info,
            is_bridge: false,
        }
    }
}

/// CONNACK of a refusal, in both words for it.
pub(crate) fn refused(
    version: Version,
    code: v3::ConnectAckReason,
    reason: ConnectAckReason,
) -> Bytes {
    match version {
        Version::V3 => {
            let ack = v3::ConnectAck {
                return_code: code,
                session_present: false,
            };
            outgoing::v3(v3::Packet::ConnectAck(ack)).unwrap_or_default()
        }
        Version::V5 => refused_v5(reason),
    }
}

fn refused_v5(reason_code: ConnectAckReason) -> Bytes {
    let why = match reason_code {
        ConnectAckReason::BadAuthenticationMethod => "there are no AUTH exchanges here",
        ConnectAckReason::BadUserNameOrPassword => "the password is not one that may connect",
        ConnectAckReason::ConnectionRateExceeded => {
            "too many wrong passwords came from this address: try again in some seconds"
        }
        ConnectAckReason::ClientIdentifierNotValid => "the client id is too long",
        ConnectAckReason::MalformedPacket => "CONNECT is malformed",
        ConnectAckReason::QuotaExceeded => {
            "there is no room for another session: connect without a session expiry"
        }
        ConnectAckReason::ServerUnavailable => "a store cannot be reached: try again",
        ConnectAckReason::TopicNameInvalid => "the topic of the will is empty or has a wildcard",
        _ => "refused",
    };
    let ack = v5::ConnectAck {
        reason_code,
        reason_string: Some(why.into()),
        ..v5::ConnectAck::default()
    };
    outgoing::v5(v5::Packet::ConnectAck(Box::new(ack))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn connect(name_and_level: &[u8]) -> BytesMut {
        let mut body = name_and_level.to_vec();
        body.extend([2, 0, 30]);
        if name_and_level.last() == Some(&5) {
            body.push(0);
        }
        body.extend([0, 1, b'c']);
        let mut packet = vec![0x10, body.len() as u8];
        packet.extend(body);
        BytesMut::from(&packet[..])
    }

    #[test]
    fn three_versions_are_taken_and_others_told_so() {
        for (name, version) in [
            (&b"\0\x06MQIsdp\x03"[..], Version::V3),
            (b"\0\x04MQTT\x04", Version::V3),
            (b"\0\x04MQTT\x05", Version::V5),
        ] {
            let connect = Connect::decode(connect(name)).unwrap();
            assert_eq!((connect.version, connect.keep_alive_secs), (version, 30));
            assert_eq!(connect.client_id, "c");
        }
        let wrong = Connect::decode(connect(b"\0\x04MQTT\x06"));
        assert_eq!(wrong, Err(Bytes::from_static(WRONG_LEVEL)));
        assert_eq!(
            Connect::decode(connect(b"\0\x04QTTM\x04")),
            Err(Bytes::new())
        );
    }

    #[test]
    fn a_bridge_says_so_in_the_protocol_level() {
        for (name, is_bridge) in [
            (&b"\0\x06MQIsdp\x83"[..], true),
            (b"\0\x04MQTT\x84", true),
            (b"\0\x04MQTT\x04", false),
        ] {
            let connect = Connect::decode(connect(name)).unwrap();
            assert_eq!(
                (connect.version, connect.is_bridge),
                (Version::V3, is_bridge)
            );
        }
        let wrong = Connect::decode(connect(b"\0\x04MQTT\x86"));
        assert_eq!(wrong, Err(Bytes::from_static(WRONG_LEVEL)));
    }

    #[test]
    fn an_empty_client_id_needs_no_clean_start_in_5() {
        let packet = |level: u8, flags, rest: &[u8]| {
            let mut packet = vec![0x10, 10 + rest.len() as u8, 0, 4];
            packet.extend(b"MQTT");
            packet.extend([level, flags, 0, 0]);
            packet.extend(rest);
            BytesMut::from(&packet[..])
        };
        for (flags, clean_start) in [(0, false), (2, true)] {
            let connect = Connect::decode(packet(5, flags, &[0, 0, 0])).unwrap();
            assert_eq!(
                (&*connect.client_id, connect.clean_start),
                ("", clean_start)
            );
        }
        let refused = Connect::decode(packet(4, 0, &[0, 0]));
        assert_eq!(refused, Err(Bytes::from_static(WRONG_CLIENT_ID)));
        // A password without a user name.
        let alone = [0, 1, b'c', 0, 1, b'p'];
        assert_eq!(Connect::decode(packet(4, 0x42, &alone)), Err(Bytes::new()));
        let alone = [0, 0, 1, b'c', 0, 1, b'p'];
        let connect = Connect::decode(packet(5, 0x42, &alone)).unwrap();
        assert_eq!(connect.password, Some(Bytes::from_static(b"p")));
        // A will that expires at once.
        let will = [0, 0, 1, b'c', 5, 2, 0, 0, 0, 0, 0, 1, b't', 0, 0];
        let connect = Connect::decode(packet(5, 0x06, &will)).unwrap();
        assert_eq!(connect.will.unwrap().expiry_secs, Some(0));
    }

    proptest! {
        #[test]
        fn anything_is_taken_or_refused(body in proptest::collection::vec(any::<u8>(), 0..120), level in 3..6_u8) {
            let mut whole = b"\0\x04MQTT".to_vec();
            whole.push(level);
            whole.extend(body);
            let mut packet = vec![0x10, whole.len() as u8 & 0x7f];
            packet.extend(whole);
            let _ = Connect::decode(BytesMut::from(&packet[..]));
        }
    }
}
