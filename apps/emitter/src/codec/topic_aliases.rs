//! Topic aliases towards a client, as many as it allows (MQTT 5.0 section 3.3.2.3.4). Those that clients give are kept by
//! their sessions.

use std::collections::HashMap;

use bytes::Bytes;

use super::publish_rewrite::Parts;

/// Property identifier (MQTT 5.0 section 2.2.2.2).
const TOPIC_ALIAS: u8 = 0x23;

/// Bytes that a topic alias adds to a packet at most.
pub(crate) const ALIAS_BYTES: usize = 3;

/// The topic aliases of one connection towards its client.
#[derive(Debug, Default)]
pub(crate) struct TopicAliases {
    max: u16,
    given: HashMap<Bytes, u16>,
}

impl TopicAliases {
    pub(crate) fn new(max: u16) -> Self {
        Self {
            max,
            given: HashMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.max == 0
    }

    /// The packet of 5.0 with an alias for its topic: the first time beside it, and then in its place. To be
    /// called in the order in which packets are sent.
    pub(crate) fn apply(&mut self, packet: Bytes) -> Bytes {
        if self.is_empty() {
            return packet;
        }
        let Some(mut parts) = Parts::of(&packet) else {
            return packet;
        };
        let alias = match self.given.get(parts.topic) {
            Some(alias) => {
                parts.topic = &[];
                *alias
            }
            None if self.given.len() < usize::from(self.max) => {
                let alias = self.given.len() as u16 + 1;
                self.given
                    .insert(Bytes::copy_from_slice(parts.topic), alias);
                alias
            }
            None => return packet,
        };
        let [high, low] = alias.to_be_bytes();
        parts.write(&[TOPIC_ALIAS, high, low])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::publish_rewrite::tests::{publishes, read, written};

    #[test]
    fn no_more_aliases_are_given_than_the_client_allows() {
        let publish = |topic: &str| rmqtt_codec::types::Publish {
            dup: false,
            retain: false,
            qos: rmqtt_codec::types::QoS::AtMostOnce,
            topic: topic.into(),
            packet_id: None,
            payload: Bytes::new(),
            properties: Some(rmqtt_codec::v5::PublishProperties::default()),
        };
        let mut aliases = TopicAliases::new(2);
        for (topic, written_topic, alias) in [
            ("a", "a", Some(1)),
            ("a", "", Some(1)),
            ("b", "b", Some(2)),
            ("c", "c", None),
            ("b", "", Some(2)),
        ] {
            let found = read(&aliases.apply(written(&publish(topic))));
            let found_alias = found.properties.and_then(|all| all.topic_alias);
            assert_eq!(&*found.topic, written_topic);
            assert_eq!(found_alias.map(std::num::NonZeroU16::get), alias);
        }
    }

    proptest! {
        #[test]
        fn an_alias_stands_beside_a_topic_and_then_in_its_place(publish in publishes()) {
            let mut aliases = TopicAliases::new(1);
            let mut expected = publish.clone();
            expected.properties.as_mut().unwrap().topic_alias = std::num::NonZeroU16::new(1);
            prop_assert_eq!(read(&aliases.apply(written(&publish))), expected.clone());
            expected.topic = "".into();
            prop_assert_eq!(read(&aliases.apply(written(&publish))), expected);
            let mut other = publish;
            other.topic = "Another".into();
            prop_assert_eq!(read(&aliases.apply(written(&other))), other);
        }
    }
}
