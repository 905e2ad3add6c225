//! Topic aliases that a client gives, for as long as it is connected (MQTT 5.0 section 3.3.2.3.4).

use std::{collections::HashMap, num::NonZeroU16};

use bytestring::ByteString;
use rmqtt_codec::v5::DisconnectReasonCode;

use crate::settings::TOPIC_ALIAS_MAX;

#[derive(Debug, Default)]
pub(crate) struct ClientTopicAliases(HashMap<NonZeroU16, ByteString>);

impl ClientTopicAliases {
    /// The topic that an alias stands for; with a topic it stands for that from now on.
    pub(super) fn resolve_topic_alias(
        &mut self,
        alias: NonZeroU16,
        topic: ByteString,
        topic_bytes_max: usize,
    ) -> Result<ByteString, DisconnectReasonCode> {
        let invalid = DisconnectReasonCode::TopicAliasInvalid;
        if alias.get() > TOPIC_ALIAS_MAX {
            return Err(invalid);
        }
        if topic.is_empty() {
            return self.0.get(&alias).cloned().ok_or(invalid);
        }
        if topic.len() > topic_bytes_max {
            return Err(DisconnectReasonCode::TopicNameInvalid);
        }
        self.0.insert(alias, topic.clone());
        Ok(topic)
    }

    /// The connection has ended, and they with it.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_the_topic_that_it_was_last_given_for() {
        let mut aliases = ClientTopicAliases::default();
        let mut resolve = |alias, topic: &'static str| {
            let alias = NonZeroU16::new(alias).unwrap();
            aliases.resolve_topic_alias(alias, ByteString::from_static(topic), 10)
        };
        let invalid = Err(DisconnectReasonCode::TopicAliasInvalid);
        assert_eq!(resolve(1, ""), invalid);
        assert_eq!(resolve(1, "a"), Ok("a".into()));
        assert_eq!(resolve(1, ""), Ok("a".into()));
        assert_eq!(resolve(1, "b"), Ok("b".into()));
        assert_eq!(resolve(1, ""), Ok("b".into()));
        assert_eq!(resolve(TOPIC_ALIAS_MAX + 1, "c"), invalid);
        let too_long = Err(DisconnectReasonCode::TopicNameInvalid);
        assert_eq!(resolve(2, "a topic of 18 byte"), too_long);
        assert_eq!(resolve(2, ""), invalid);
    }
}
