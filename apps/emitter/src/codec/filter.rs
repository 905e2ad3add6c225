//! Topic filters, also shared ones, and how a client wants what matches (subscription options).

use std::num::NonZeroU32;

use polywire_core::{
    Channel, Pattern, Refusal, Scope,
    space::{Action, Attachment, Subscribed},
};
use rmqtt_codec::{types::QoS, v5::SubscribeAckReason};
use serde::{Deserialize, Serialize};

use super::text::{is_text, is_topic};

/// A topic filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// One channel.
    Channel(Channel),
    /// Every channel that matches, with the filter as it was written.
    Pattern(Channel, Pattern),
}

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self, SubscribeAckReason> {
        let invalid = SubscribeAckReason::TopicFilterInvalid;
        if !is_text(text) {
            return Err(invalid);
        }
        let channel = Channel::new(text).map_err(|_| invalid)?;
        if !text.contains(['+', '#']) {
            return Ok(Self::Channel(channel));
        }
        match Pattern::mqtt(text) {
            Ok(pattern) => Ok(Self::Pattern(channel, pattern)),
            Err(_) => Err(invalid),
        }
    }

    /// As the client wrote it.
    pub(crate) fn written(&self) -> &Channel {
        match self {
            Self::Channel(written) | Self::Pattern(written, _) => written,
        }
    }

    /// What whoever subscribes to it is to be authorized for.
    pub(crate) fn action(&self) -> Action<'_> {
        match self {
            Self::Channel(channel) => Action::Subscribe(channel),
            Self::Pattern(_, pattern) => Action::SubscribePattern(pattern),
        }
    }

    /// The channels that it is for.
    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::Channel(channel) => Scope::Channel(channel),
            Self::Pattern(_, pattern) => Scope::Pattern(pattern),
        }
    }

    /// Subscribes to what it is for.
    pub(crate) async fn subscribe(
        self,
        attachment: &mut Attachment,
    ) -> Result<Subscribed, Refusal> {
        match self {
            Self::Channel(channel) => attachment.subscribe(channel).await,
            Self::Pattern(written, pattern) => attachment.subscribe_pattern(written, pattern).await,
        }
    }

    /// Joins what it is for on the app's own account.
    pub(crate) async fn join(self, attachment: &mut Attachment) -> Result<Subscribed, Refusal> {
        match self {
            Self::Channel(channel) => Ok(attachment.join(channel).await),
            Self::Pattern(_, pattern) => attachment.join_pattern(pattern).await,
        }
    }

    pub(crate) fn matches(&self, topic: &Channel) -> bool {
        match self {
            Self::Channel(channel) => channel == topic,
            Self::Pattern(_, pattern) => pattern.matches(topic.as_str()),
        }
    }
}

/// A filter with what the client wants of it.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) filter: Filter,
    pub(crate) options: SubscriptionOptions,
    /// The server put the client there, whatever its rights are.
    pub(crate) by_server: bool,
}

/// How a client wants what matches a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionOptions {
    #[serde(with = "number")]
    pub(crate) qos: QoS,
    /// Not what the client publishes itself.
    pub(crate) no_local: bool,
    /// With the retain bit where it was published with it.
    pub(crate) as_published: bool,
    /// With this identifier of the subscription.
    pub(crate) id: Option<NonZeroU32>,
}

impl SubscriptionOptions {
    pub(crate) fn of_qos(qos: QoS) -> Self {
        Self {
            qos,
            no_local: false,
            as_published: false,
            id: None,
        }
    }

    /// True where nothing differs from what others get.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::of_qos(QoS::AtMostOnce)
    }
}

/// A QoS as a number, as it is written down.
pub(crate) mod number {
    use rmqtt_codec::types::QoS;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(qos: &QoS, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(qos.value())
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<QoS, D::Error> {
        match u8::deserialize(from)? {
            0 => Ok(QoS::AtMostOnce),
            1 => Ok(QoS::AtLeastOnce),
            2 => Ok(QoS::ExactlyOnce),
            _ => Err(D::Error::custom("there is no such QoS")),
        }
    }
}

/// The group and the filter of a shared subscription (MQTT 5.0 section 4.8.2); none for a filter that is not shared.
pub(crate) fn shared(text: &str) -> Result<Option<(&str, &str)>, SubscribeAckReason> {
    let Some(rest) = text.strip_prefix("$share") else {
        return Ok(None);
    };
    let group = rest.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    match group {
        Some((group, filter)) if !filter.is_empty() && is_topic(group) => Ok(Some((group, filter))),
        _ if rest.is_empty() || rest.starts_with('/') => {
            Err(SubscribeAckReason::TopicFilterInvalid)
        }
        // Another name that only begins so.
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_channels_or_patterns() {
        assert!(matches!(Filter::parse("a/b"), Ok(Filter::Channel(_))));
        assert!(matches!(Filter::parse("a/+/c"), Ok(Filter::Pattern(..))));
        for wrong in ["", "a#", "a/#/b", "a+", "a\0", "a\n"] {
            let expected = Err(SubscribeAckReason::TopicFilterInvalid);
            assert_eq!(Filter::parse(wrong), expected, "{wrong:?}");
        }
    }

    #[test]
    fn a_shared_filter_has_a_group() {
        assert_eq!(shared("a/b"), Ok(None));
        assert_eq!(shared("$share/g/a/#"), Ok(Some(("g", "a/#"))));
        let wrong = [
            "$share",
            "$share/",
            "$share/g",
            "$share/g/",
            "$share//a",
            "$share/+/a",
        ];
        for wrong in wrong {
            let expected = Err(SubscribeAckReason::TopicFilterInvalid);
            assert_eq!(shared(wrong), expected, "{wrong}");
        }
    }
}
