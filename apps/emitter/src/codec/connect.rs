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
    filter::number, message_properties::MessageProperties, outgoing,
    remaining_length::variable_header, version::Version,
};

/// CONNACK 1 of 3.1.1.
const WRONG_LEVEL: &[u8] = &[0x20, 2, 0, 1];

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
    pub(crate) expiry_secs: Option<NonZeroU32>,
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
}

impl Connect {
    /// Reads a whole packet.
    ///
    /// # Errors
    /// What to send before the connection is closed; empty for nothing.
    pub(crate) fn decode(mut packet: BytesMut) -> Result<Self, Bytes> {
        match level(&packet) {
            Some(3 | 4) => match v3::Codec::new(0).decode(&mut packet) {
                Ok(Some((v3::Packet::Connect(connect), _))) => Ok(Self::of_v3(*connect)),
                Err(rmqtt_codec::error::DecodeError::InvalidClientId) => {
                    Err(Bytes::from_static(WRONG_CLIENT_ID))
                }
                _ => Err(Bytes::new()),
            },
            Some(5) => match v5::Codec::new(0, 0).decode(&mut packet) {
                Ok(Some((v5::Packet::Connect(connect), _))) => Ok(Self::of_v5(*connect)),
                _ => Err(refused_v5(ConnectAckReason::MalformedPacket)),
            },
            Some(_) => Err(Bytes::from_static(WRONG_LEVEL)),
            None => Err(Bytes::new()),
        }
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
                expiry_secs: will.message_expiry_interval,
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
        }
    }
}

/// The protocol level of a CONNECT packet.
fn level(packet: &[u8]) -> Option<u8> {
    if *packet.first()? != 0x10 {
        return None;
    }
    let header = packet.get(variable_header(packet)?..)?;
    let rest = header
        .strip_prefix(b"\0\x04MQTT")
        .or_else(|| header.strip_prefix(b"\0\x06MQIsdp"))?;
    rest.first().copied()
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
