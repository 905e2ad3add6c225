//! What a client subscribed to.

use polywire_core::{Channel, Pattern};
use rmqtt_codec::{types::QoS, v5::SubscribeAckReason};

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
        if text.starts_with("$share/") {
            return Err(SubscribeAckReason::SharedSubscriptionNotSupported);
        }
        let invalid = SubscribeAckReason::TopicFilterInvalid;
        if text.contains('\0') {
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
    pub(crate) qos: QoS,
    /// The client does not get what it publishes itself.
    pub(crate) no_local: bool,
}

/// Whether a topic can be published to.
pub(crate) fn is_topic(text: &str) -> bool {
    !text.is_empty() && !text.contains(['+', '#', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_channels_or_patterns() {
        assert!(matches!(Filter::parse("a/b"), Ok(Filter::Channel(_))));
        assert!(matches!(Filter::parse("a/+/c"), Ok(Filter::Pattern(..))));
        for wrong in ["", "a#", "a/#/b", "a+", "a\0"] {
            let expected = Err(SubscribeAckReason::TopicFilterInvalid);
            assert_eq!(Filter::parse(wrong), expected, "{wrong:?}");
        }
        let shared = Err(SubscribeAckReason::SharedSubscriptionNotSupported);
        assert_eq!(Filter::parse("$share/g/a"), shared);
    }
}
