//! Retained messages, one per topic: the last one that was published to be retained.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use polywire_core::{
    Draft, Epoch, JsonText, LazyRegistry, Level, Pattern, Position, Publication, Refusal,
    RefusalKind, Registry, RegistryError, Seq, Space, Timetoken, decode_draft, encode_draft,
};

use crate::codec::{filter::Filter, message_properties::MessageProperties};

/// Bytes of all retained messages.
const BYTES_MAX: usize = 256 << 20;

/// The last message of each topic, the same on all nodes, and kept where messages are.
pub(crate) struct RetainedMessages(LazyRegistry);

impl RetainedMessages {
    pub(crate) fn new(space: &Arc<Space>) -> Self {
        Self(Registry::lazy(
            space,
            "mqtt/retained",
            BYTES_MAX,
            Box::new(|_, _| {}),
        ))
    }

    /// Reads what was retained before; without this that happens with the first message or subscriber.
    pub(crate) async fn open(&self) {
        if let Err(error) = self.0.get().await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "retained messages cannot be read yet");
        }
    }

    /// How many topics have one, as far as this node knows.
    pub(crate) fn count(&self) -> usize {
        self.0.opened().map_or(0, |registry| registry.len())
    }

    /// Retains a message in the place of the one before; one without a payload only removes that.
    ///
    /// # Errors
    /// When it is not retained.
    pub(crate) async fn set(&self, draft: &Draft) -> Result<(), Refusal> {
        let Some(topic) = draft.target.channel() else {
            return Ok(());
        };
        let value = (!draft.payload.is_empty())
            .then(|| written(draft))
            .flatten();
        let changed = match self.0.get().await {
            Ok(registry) => {
                let change = (topic.as_str().to_owned(), value);
                registry.change(vec![change]).await
            }
            Err(error) => Err(error),
        };
        changed.map_err(|error| match error {
            RegistryError::Full => {
                Refusal::limit_exceeded("There is no room for more retained messages.")
            }
            error => Refusal::new(
                RefusalKind::Unavailable,
                format!("The message was not retained: {error}."),
            ),
        })
    }

    /// The messages of the topics that a filter is for. What has expired is not among them.
    pub(crate) async fn matching(&self, filter: &Filter) -> Vec<Publication> {
        let registry = match self.0.get().await {
            Ok(registry) => registry,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a subscriber gets no retained messages"
                );
                return Vec::new();
            }
        };
        let found = match filter {
            Filter::Channel(channel) => registry.get(channel.as_str()).into_iter().collect(),
            Filter::Pattern(_, pattern) => values_of(registry, pattern),
        };
        let found = found.iter().filter_map(read);
        found
            .filter(|publication| {
                MessageProperties::of(publication).is_none_or(|about| !about.is_over())
            })
            .collect()
    }
}

fn values_of(registry: &Registry, pattern: &Pattern) -> Vec<JsonText> {
    let mut found = registry.beginning_with(&literal_prefix(pattern));
    found.retain(|(topic, _)| pattern.matches(topic));
    found.into_iter().map(|(_, value)| value).collect()
}

/// What every topic begins with that matches.
fn literal_prefix(pattern: &Pattern) -> String {
    let levels = pattern.levels().iter();
    let literal = levels.map_while(|level| match level {
        Level::Literal(text) => Some(&**text),
        Level::One | Level::Rest => None,
    });
    literal.collect::<Vec<_>>().join("/")
}

fn written(draft: &Draft) -> Option<JsonText> {
    let mut bytes = BytesMut::new();
    encode_draft(draft, &mut bytes).ok()?;
    JsonText::of(&STANDARD.encode(bytes)).ok()
}

fn read(value: &JsonText) -> Option<Publication> {
    let text: String = serde_json::from_str(value.as_str()).ok()?;
    let draft = decode_draft(STANDARD.decode(text).ok()?.into()).ok()?;
    Some(unplaced(draft))
}

/// A publication whose position in its channel is of no interest.
pub(super) fn unplaced(draft: Draft) -> Publication {
    draft.at(Position {
        epoch: Epoch(0),
        seq: Seq(0),
        timetoken: Timetoken(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_looked_for_by_what_they_begin_with() {
        for (filter, prefix) in [("#", ""), ("+/a", ""), ("a/#", "a"), ("a/b/+/c", "a/b")] {
            assert_eq!(literal_prefix(&Pattern::mqtt(filter).unwrap()), prefix);
        }
    }
}
