//! Retained messages, one per topic: the last one that was published to be retained.
//!
//! That a message is published and retained is one step for its topic, on the node where it is published: publishers take
//! [turns](RetainedMessages::turn), and who subscribes waits for whose turn it is, after it has joined. So it gets a message
//! as retained, or as published, or both ways in this order, and nothing older afterwards. Nodes say to each other as of
//! when a message is retained, which is when it was published: the same one stays on all of them, the last.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use parking_lot::Mutex;
use polywire_core::{
    Channel, Draft, Epoch, JsonText, LazyRegistry, Level, Pattern, Position, Publication, Refusal,
    RefusalKind, Registry, RegistryError, Seq, Space, Timetoken, decode_draft, encode_draft,
};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::{
    clock::now,
    codec::{
        filter::Filter,
        message_properties::{self, AT_ONCE},
    },
};

/// Bytes of all retained messages.
const BYTES_MAX: usize = 256 << 20;

/// Messages that are looked at at once.
const PAGE: usize = 256;

/// Those whose turn it is, by topic.
type Turns = Mutex<HashMap<Channel, Arc<tokio::sync::Mutex<()>>>>;

/// When messages expire, in seconds since 1970, and their topics.
type Expiries = Mutex<BTreeSet<(u64, String)>>;

/// The last message of each topic, the same on all nodes, and kept where messages are.
pub(crate) struct RetainedMessages {
    registry: LazyRegistry,
    turns: Turns,
    expiries: Arc<Expiries>,
}

/// The right to publish and retain a message of a topic.
pub(crate) struct TopicTurn<'r> {
    turns: &'r Turns,
    topic: Channel,
    /// None when it is over.
    guard: Option<OwnedMutexGuard<()>>,
}

/// Some of the messages that a filter is for.
#[derive(Default)]
pub(crate) struct RetainedPage {
    pub(crate) messages: Vec<Publication>,
    /// The last topic that was looked at, where more may follow.
    pub(crate) after: Option<String>,
}

/// A message as it is written down: alone, or with the time at which it expires.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Lasting(String),
    Expiring { message: String, expires: u64 },
}

impl Drop for TopicTurn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut turns = self.turns.lock();
        // Nobody waits for it: whoever does has it in hand.
        if turns
            .get(&self.topic)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            turns.remove(&self.topic);
        }
    }
}

impl RetainedMessages {
    pub(crate) fn new(space: &Arc<Space>) -> Self {
        let expiries = Arc::<Expiries>::default();
        let noted = expiries.clone();
        let on_change = move |topic: &str, value: Option<&JsonText>| {
            // What replaces or removes one leaves its entry, which is compared when its time has come.
            if let Some(expires) = value.and_then(expires) {
                noted.lock().insert((expires, topic.to_owned()));
            }
        };
        Self {
            registry: Registry::lazy(space, "mqtt/retained", BYTES_MAX, Box::new(on_change)),
            turns: Turns::default(),
            expiries,
        }
    }

    /// Reads what was retained before; without this that happens with the first message or subscriber.
    pub(crate) async fn open(&self) {
        if let Err(error) = self.registry.get().await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "retained messages cannot be read yet");
        }
    }

    /// How many topics have one, as far as this node knows.
    pub(crate) fn count(&self) -> usize {
        self.registry.opened().map_or(0, |registry| registry.len())
    }

    /// Waits for the turn of a topic. First come, first served.
    pub(crate) async fn turn(&self, topic: &Channel) -> TopicTurn<'_> {
        let turn = self.turns.lock().entry(topic.clone()).or_default().clone();
        let guard = turn.lock_owned().await;
        TopicTurn {
            turns: &self.turns,
            topic: topic.clone(),
            guard: Some(guard),
        }
    }

    /// Waits until what is being published now on topics that a filter is for is retained too.
    pub(crate) async fn settled(&self, filter: &Filter) {
        let topics: Vec<_> = {
            let turns = self.turns.lock();
            let topics = turns.keys().filter(|topic| filter.matches(topic));
            topics.cloned().collect()
        };
        for topic in topics {
            drop(self.turn(&topic).await);
        }
    }

    /// Retains a message that was published at this time in the place of the one before; one without a payload, or that
    /// expires at once, only removes that.
    ///
    /// # Errors
    /// When it is not retained.
    pub(crate) async fn set(&self, draft: &Draft, at: Timetoken) -> Result<(), Refusal> {
        let Some(topic) = draft.target.channel() else {
            return Ok(());
        };
        let changed = match self.registry.get().await {
            Ok(registry) => {
                let change = (topic.as_str().to_owned(), written(draft));
                registry.change_as_of(vec![change], at).await
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

    /// Forgets what has expired. Each node does so by itself.
    pub(crate) fn remove_expired(&self) {
        let due = {
            let mut expiries = self.expiries.lock();
            let later = expiries.split_off(&(now() + 1, String::new()));
            std::mem::replace(&mut *expiries, later)
        };
        let Some(registry) = self.registry.opened() else {
            return;
        };
        for (time, topic) in due {
            if let Some((value, at)) = registry.dated(&topic)
                && expires(&value) == Some(time)
            {
                registry.forget(&topic, at);
            }
        }
    }

    /// Some of the messages of the topics that a filter is for, behind a topic. What has expired is not among them.
    pub(crate) async fn page(&self, filter: &Filter, after: Option<&str>) -> RetainedPage {
        let registry = match self.registry.get().await {
            Ok(registry) => registry,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a subscriber gets no retained messages"
                );
                return RetainedPage::default();
            }
        };
        match filter {
            Filter::Channel(channel) => RetainedPage {
                messages: registry
                    .dated(channel.as_str())
                    .filter(|_| after.is_none())
                    .and_then(|(value, at)| read(&value, at))
                    .into_iter()
                    .collect(),
                after: None,
            },
            Filter::Pattern(_, pattern) => {
                let found = registry.page(&literal_prefix(pattern), after, PAGE);
                let is_last = found.len() < PAGE;
                let last = found.last().map(|(topic, ..)| topic.clone());
                let matching = found.into_iter();
                let matching = matching.filter(|(topic, ..)| pattern.matches(topic));
                RetainedPage {
                    messages: matching
                        .filter_map(|(_, value, at)| read(&value, at))
                        .collect(),
                    after: last.filter(|_| !is_last),
                }
            }
        }
    }
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

/// `None` for what is not kept.
fn written(draft: &Draft) -> Option<JsonText> {
    let expires = message_properties::expires_of(draft.properties.as_ref());
    if draft.payload.is_empty() || expires == Some(AT_ONCE) {
        return None;
    }
    let mut bytes = BytesMut::new();
    encode_draft(draft, &mut bytes).ok()?;
    let message = STANDARD.encode(bytes);
    JsonText::of(&match expires {
        Some(expires) => Written::Expiring { message, expires },
        None => Written::Lasting(message),
    })
    .ok()
}

/// When a message expires that was written down.
fn expires(value: &JsonText) -> Option<u64> {
    // Nearly none does, and is not read for it.
    if !value.is_object() {
        return None;
    }
    match serde_json::from_str(value.as_str()).ok()? {
        Written::Expiring { expires, .. } => Some(expires),
        Written::Lasting(_) => None,
    }
}

fn read(value: &JsonText, at: Timetoken) -> Option<Publication> {
    let written: Written = serde_json::from_str(value.as_str()).ok()?;
    let (Written::Lasting(message) | Written::Expiring { message, .. }) = written;
    let draft = decode_draft(STANDARD.decode(message).ok()?.into()).ok()?;
    let publication = published(draft, at);
    let expires = message_properties::expires(&publication);
    expires
        .is_none_or(|expires| expires > now())
        .then_some(publication)
}

/// A publication of which nothing but the time is known.
pub(super) fn published(draft: Draft, timetoken: Timetoken) -> Publication {
    draft.at(Position {
        epoch: Epoch(0),
        seq: Seq(0),
        timetoken,
    })
}

#[cfg(test)]
mod tests {
    use polywire_core::Payload;

    use super::*;
    use crate::codec::message_properties::{MessageProperties, with_properties};

    #[test]
    fn topics_are_looked_for_by_what_they_begin_with() {
        for (filter, prefix) in [("#", ""), ("+/a", ""), ("a/#", "a"), ("a/b/+/c", "a/b")] {
            assert_eq!(literal_prefix(&Pattern::mqtt(filter).unwrap()), prefix);
        }
    }

    #[test]
    fn what_expires_is_written_with_its_time() {
        let draft = |secs| {
            let draft = Draft::new(Channel::new("a").unwrap(), Payload::text("x"));
            let properties = MessageProperties::default().expires_in(secs);
            with_properties(draft, &properties, secs)
        };
        let lasting = written(&draft(None)).unwrap();
        assert_eq!(expires(&lasting), None);
        let expiring = written(&draft(Some(60))).unwrap();
        let time = expires(&expiring).unwrap();
        assert!((now() + 58..=now() + 61).contains(&time));
        for value in [lasting, expiring] {
            let publication = read(&value, Timetoken(7)).unwrap();
            assert_eq!(publication.payload, Payload::text("x"));
            assert_eq!(publication.position().timetoken, Timetoken(7));
        }
        assert_eq!(written(&draft(Some(0))), None);
    }
}
