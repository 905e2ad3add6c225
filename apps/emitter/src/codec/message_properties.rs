//! Message properties: what MQTT has words for and a payload has no place for, carried along as the properties of a publication.

use std::{num::NonZeroU32, sync::LazyLock, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use polywire_core::{Draft, JsonText, Kind, Publication, Retention};
use rmqtt_codec::{
    types::{Publish, QoS},
    v5::{LastWill, PublishProperties},
};
use serde::{Deserialize, Serialize};

use super::text::{TEXT_BYTES_MAX, is_text, is_topic};
use crate::clock::{in_secs, now, secs_until};

/// In the place of the time at which a message expires: it is for who is there, and waits for nobody.
pub(crate) const AT_ONCE: u64 = 0;

const ZERO: &str = r#"{"qos":0}"#;
const ONE: &str = r#"{"qos":1}"#;
const TWO: &str = r#"{"qos":2}"#;
/// What each of ours begins with.
const BEGINNING: &str = r#"{"qos":"#;
/// What is in those that expire.
const EXPIRES: &str = r#""expires":"#;

/// What a publication of MQTT says about itself. Those of other protocols have none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct MessageProperties {
    // First, so that it is found without reading the rest.
    qos: u8,
    /// It was published to be retained.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) retain: bool,
    /// The payload is text, says the publisher (payload format indicator).
    #[serde(default, skip_serializing_if = "is_false")]
    utf8: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_topic: Option<String>,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_data: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user_properties: Vec<(String, String)>,
    /// When nobody wants it any more, in seconds since 1970, or [`AT_ONCE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<u64>,
    /// The client id of its publisher, where that is known by another name and may not want its own messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The QoS that a publication came with. One of another protocol, which has no word for it, counts as `kept_qos` where it
/// is kept.
pub(crate) fn qos(publication: &Publication, kept_qos: QoS) -> QoS {
    let said = publication.properties.as_ref().map(JsonText::as_str);
    let rest = said.and_then(|said| said.strip_prefix(BEGINNING));
    match rest.and_then(|rest| rest.as_bytes().first()) {
        Some(b'1') => QoS::AtLeastOnce,
        Some(b'2') => QoS::ExactlyOnce,
        None if publication.retention.store => kept_qos,
        _ => QoS::AtMostOnce,
    }
}

/// When nobody wants a publication any more, in seconds since 1970, or [`AT_ONCE`].
pub(crate) fn expires(publication: &Publication) -> Option<u64> {
    expires_of(publication.properties.as_ref())
}

/// The same of what a publication says, or will.
pub(crate) fn expires_of(properties: Option<&JsonText>) -> Option<u64> {
    let said = properties?.as_str();
    // Asked for each client that gets it: what does not expire had better not be read each time.
    if !said.contains(EXPIRES) {
        return None;
    }
    MessageProperties::read(said)?.expires
}

/// A draft with its properties.
pub(crate) fn with_properties(
    draft: Draft,
    properties: &MessageProperties,
    expiry_secs: Option<u32>,
) -> Draft {
    let mut draft = draft.properties(properties.write());
    match expiry_secs {
        // There is nothing to keep.
        Some(0) => draft.retention = Retention::NONE,
        secs => draft.retention.ttl = secs.map(|secs| Duration::from_secs(secs.into())),
    }
    draft
}

/// A draft that is to be retained. Without a payload it takes back what is (MQTT 5.0 section 3.3.1.3), which is a message to
/// clients of MQTT alone.
pub(crate) fn clearing_if_empty(draft: Draft) -> Draft {
    if draft.payload.is_empty() {
        draft.kind(Kind::Clear).retention(Retention::NONE)
    } else {
        draft
    }
}

impl MessageProperties {
    pub(crate) fn of_qos(qos: QoS) -> Self {
        Self {
            qos: qos.value(),
            ..Self::default()
        }
    }

    /// Sets whether it is published to be retained.
    pub(crate) fn retained(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// What a packet of a client says.
    pub(crate) fn of_packet(publish: &Publish, expiry_secs: Option<u32>) -> Self {
        let mut message = Self::of_qos(publish.qos);
        message.retain = publish.retain;
        if let Some(properties) = &publish.properties {
            message.utf8 = properties.is_utf8_payload;
            message.content_type = properties.content_type.as_ref().map(ToString::to_string);
            message.response_topic = properties.response_topic.as_ref().map(ToString::to_string);
            message.correlation_data = properties.correlation_data.as_ref().map(encode);
            message.user_properties = pairs(&properties.user_properties);
        }
        message.expires = expiry(expiry_secs);
        message
    }

    /// What the will of a client of 5.0 says. It expires after it was published.
    pub(crate) fn of_will(will: &LastWill) -> Self {
        Self {
            qos: will.qos.value(),
            retain: will.retain,
            utf8: will.is_utf8_payload == Some(true),
            content_type: will.content_type.as_ref().map(ToString::to_string),
            response_topic: will.response_topic.as_ref().map(ToString::to_string),
            correlation_data: will.correlation_data.as_ref().map(encode),
            user_properties: pairs(&will.user_properties),
            expires: None,
            client_id: None,
        }
    }

    /// Sets when nobody wants it any more.
    pub(crate) fn expires_in(mut self, secs: Option<u32>) -> Self {
        self.expires = expiry(secs);
        self
    }

    /// What a publication says; `None` where that is nothing but a QoS.
    pub(crate) fn of(publication: &Publication) -> Option<Self> {
        Self::read(publication.properties.as_ref()?.as_str())
    }

    fn read(said: &str) -> Option<Self> {
        if !said.starts_with(BEGINNING) || matches!(said, ZERO | ONE | TWO) {
            return None;
        }
        serde_json::from_str(said).ok()
    }

    /// As the properties of a publication.
    pub(crate) fn write(&self) -> Option<JsonText> {
        static PLAIN: LazyLock<[Option<JsonText>; 3]> =
            LazyLock::new(|| [ZERO, ONE, TWO].map(|text| JsonText::parse(text.into()).ok()));
        let plain = Self {
            qos: self.qos,
            ..Self::default()
        };
        match PLAIN.get(usize::from(self.qos)) {
            Some(text) if *self == plain => text.clone(),
            _ => JsonText::of(self).ok(),
        }
    }

    /// True when nobody wants it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.expires
            .is_some_and(|expires| expires != AT_ONCE && expires <= now())
    }

    /// As 5.0 writes it, with the time that is left; [`AT_ONCE`] is written behind the rest, which has no word for it.
    pub(crate) fn to_packet(&self) -> PublishProperties {
        let expires = self.expires.filter(|expires| *expires != AT_ONCE);
        let left = expires.map(|expires| u32::try_from(secs_until(expires)).unwrap_or(u32::MAX));
        let decode = |text: &String| STANDARD.decode(text).ok().map(Bytes::from);
        let pairs = self.user_properties.iter();
        PublishProperties {
            topic_alias: None,
            correlation_data: self.correlation_data.as_ref().and_then(decode),
            message_expiry_interval: left.and_then(NonZeroU32::new),
            content_type: self.content_type.as_deref().map(Into::into),
            user_properties: pairs
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
            is_utf8_payload: self.utf8,
            response_topic: self.response_topic.as_deref().map(Into::into),
            subscription_ids: Vec::new(),
        }
    }
}

/// True for properties that every client takes.
pub(crate) fn is_taken(properties: &PublishProperties) -> bool {
    let is_topic = |topic: &ByteString| is_topic(topic);
    let is_text = |text: &ByteString| is_text(text);
    let mut pairs = properties.user_properties.iter();
    properties.content_type.as_ref().is_none_or(is_text)
        && properties.response_topic.as_ref().is_none_or(is_topic)
        && properties
            .correlation_data
            .as_ref()
            .is_none_or(|data| data.len() <= TEXT_BYTES_MAX)
        && pairs.all(|(name, value)| is_text(name) && is_text(value))
}

fn encode(bytes: &Bytes) -> String {
    STANDARD.encode(bytes)
}

fn pairs(properties: &[(ByteString, ByteString)]) -> Vec<(String, String)> {
    let pairs = properties.iter();
    pairs
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn expiry(secs: Option<u32>) -> Option<u64> {
    secs.map(|secs| match secs {
        0 => AT_ONCE,
        secs => in_secs(secs.into()),
    })
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, Draft, Epoch, Payload, Position, Seq, Timetoken};

    use super::*;

    fn published(properties: Option<JsonText>) -> Publication {
        let channel = Channel::new("a").unwrap();
        Draft::new(channel, Payload::text("x"))
            .properties(properties)
            .at(Position {
                epoch: Epoch(1),
                seq: Seq(1),
                timetoken: Timetoken(1),
            })
    }

    #[test]
    fn a_qos_alone_takes_little() {
        for (of, plain) in [
            (QoS::AtMostOnce, Some(ZERO)),
            (QoS::AtLeastOnce, Some(ONE)),
            (QoS::ExactlyOnce, Some(TWO)),
        ] {
            let written = MessageProperties::of_qos(of).write();
            assert_eq!(written.as_ref().map(JsonText::as_str), plain);
            let publication = published(written);
            assert_eq!(qos(&publication, QoS::AtLeastOnce), of);
            assert_eq!(MessageProperties::of(&publication), None);
        }
    }

    #[test]
    fn properties_are_read_as_they_were_written() {
        let properties = PublishProperties {
            correlation_data: Some(Bytes::from_static(&[0, 255])),
            content_type: Some("text/plain".into()),
            user_properties: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            is_utf8_payload: true,
            response_topic: Some("answers/7".into()),
            message_expiry_interval: NonZeroU32::new(60),
            ..PublishProperties::default()
        };
        let packet = Publish {
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            topic: "a".into(),
            packet_id: None,
            payload: Bytes::new(),
            properties: Some(properties.clone()),
        };
        let message = MessageProperties::of_packet(&packet, Some(60));
        let publication = published(message.write());
        assert_eq!(qos(&publication, QoS::AtMostOnce), QoS::AtLeastOnce);
        let read = MessageProperties::of(&publication).unwrap();
        assert_eq!(read, message);
        assert!(!read.is_over());
        let mut again = read.to_packet();
        let left = again.message_expiry_interval.take().unwrap().get();
        assert!((58..=60).contains(&left), "{left}");
        let without = PublishProperties {
            message_expiry_interval: None,
            ..properties
        };
        assert_eq!(again, without);
    }

    #[test]
    fn what_others_say_about_theirs_is_nothing_to_us() {
        let azure = JsonText::parse(r#"{"webpubsub":{"isProtobuf":true}}"#.into()).unwrap();
        // What a client says is data, whatever it looks like.
        let meta = r#"{"qos":2,"retain":true,"response_topic":"a\u0000b","expires":1}"#;
        let meta = JsonText::parse(meta.into()).unwrap();
        let mut publication = Draft::new(Channel::new("a").unwrap(), Payload::text("x"));
        publication = publication.meta(meta).properties(azure);
        let publication = publication.at(Position::default());
        for kept_qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            assert_eq!(qos(&publication, kept_qos), kept_qos);
        }
        assert_eq!(expires(&publication), None);
        assert_eq!(MessageProperties::of(&publication), None);
    }
}
