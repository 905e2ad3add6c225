//! An entry of a stream: one thing that arrived.

use std::{borrow::Cow, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use polywire_core::{Channel, Kind, Payload, PresenceAction, PresenceEvent, Publication};

use crate::{keys::KeySet, names::PRESENCE, text::quote};

/// Timetokens in a second.
const TICKS: u64 = 10_000_000;

/// What every entry counts beside its content.
const OVERHEAD: usize = 512;

/// One thing that arrived, with its place in the order of arrival.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) order: u64,
    pub(crate) timetoken: u64,
    pub(crate) channel: Channel,
    content: Content,
    /// What an answer in its domain says of it, but for the key set and the name by which it was found.
    written: OnceLock<String>,
}

#[derive(Debug)]
// An entry is behind a pointer already, and intervals are few.
#[allow(clippy::large_enum_variant)]
enum Content {
    Publication(Publication),
    /// Comings and goings, summed up, as JSON.
    Interval(String),
}

impl Entry {
    pub(super) fn publication(order: u64, channel: &Channel, publication: &Publication) -> Self {
        Self {
            order,
            timetoken: publication.position().timetoken.0,
            channel: channel.clone(),
            content: Content::Publication(publication.clone()),
            written: OnceLock::new(),
        }
    }

    /// A message of the store.
    pub(crate) fn stored(channel: &Channel, publication: &Publication) -> Self {
        let order = publication.position().timetoken.0;
        Self::publication(order, channel, publication)
    }

    pub(super) fn interval(order: u64, channel: &Channel, event: String) -> Self {
        Self {
            order,
            timetoken: order,
            channel: channel.clone(),
            content: Content::Interval(event),
            written: OnceLock::new(),
        }
    }

    /// What it counts in bytes.
    pub(crate) fn bytes(&self) -> usize {
        OVERHEAD
            + match &self.content {
                Content::Publication(publication) => publication.bytes(),
                Content::Interval(event) => event.len(),
            }
    }

    /// True for what is to be found in history, where there is one.
    pub(super) fn is_stored(&self) -> bool {
        self.message()
            .is_some_and(|message| message.kind == Kind::Message && message.retention.store)
    }

    /// True for what was attached to a message.
    pub(crate) fn is_action(&self) -> bool {
        self.message()
            .is_some_and(|message| message.kind == Kind::Action)
    }

    /// The publication, where it is one that filters apply to.
    pub(crate) fn message(&self) -> Option<&Publication> {
        match &self.content {
            Content::Publication(publication) if !is_presence(publication) => Some(publication),
            _ => None,
        }
    }

    /// What the clients of a tenant call where it came from: the channel, or the name of its presence.
    pub(crate) fn name(&self, set: &KeySet) -> String {
        let channel = set.shown(self.channel.as_str());
        match &self.content {
            Content::Publication(publication) if !is_presence(publication) => channel.into_owned(),
            _ => [&*channel, PRESENCE].concat(),
        }
    }

    /// Writes the message, or the event, as JSON.
    pub(crate) fn push_data(&self, text: &mut String) {
        match &self.content {
            Content::Interval(event) => text.push_str(event),
            Content::Publication(publication) => match &publication.kind {
                Kind::Presence(event) => text.push_str(&presence(event, self.timetoken)),
                _ => push_payload(text, &publication.payload),
            },
        }
    }

    /// What an answer to a tenant says of it after the key set and the name by which it was found.
    pub(crate) fn written(&self, set: &KeySet) -> Cow<'_, str> {
        let channel = self.channel.as_str();
        if set.owns(&self.channel) {
            let written = || self.write(&set.shown(channel));
            Cow::Borrowed(self.written.get_or_init(written))
        } else {
            // A tenant that is bridged to its domain, which knows it by its whole name.
            Cow::Owned(self.write(&set.shown(channel)))
        }
    }

    fn write(&self, channel: &str) -> String {
        let timetoken = self.timetoken;
        let place = format!(r#""p":{{"t":"{timetoken}","r":1}}"#);
        match &self.content {
            Content::Interval(event) => {
                let channel = quote(&[channel, PRESENCE].concat());
                format!(r#"{place},"c":{channel},"d":{event}}}"#)
            }
            Content::Publication(publication) => match &publication.kind {
                Kind::Presence(event) => {
                    let channel = quote(&[channel, PRESENCE].concat());
                    let event = presence(event, timetoken);
                    format!(r#"{place},"c":{channel},"d":{event}}}"#)
                }
                kind => {
                    let mut text = String::with_capacity(publication.payload.len() + 160);
                    if let Some(publisher) = &publication.publisher {
                        text.push_str(r#""i":"#);
                        text.push_str(&quote(publisher.as_str()));
                        text.push(',');
                    }
                    text.push_str(r#""s":"#);
                    text.push_str(&publication.position().seq.0.to_string());
                    text.push(',');
                    text.push_str(&place);
                    text.push_str(r#","c":"#);
                    text.push_str(&quote(channel));
                    // An ordinary message has no type: the SDKs take a 0 for something else.
                    match kind {
                        Kind::Signal => text.push_str(r#","e":1"#),
                        Kind::Action => text.push_str(r#","e":3"#),
                        _ => {}
                    }
                    text.push_str(r#","d":"#);
                    push_payload(&mut text, &publication.payload);
                    if let Some(meta) = &publication.meta {
                        text.push_str(r#","u":"#);
                        text.push_str(meta.as_str());
                    }
                    if let Some(label) = &publication.label {
                        text.push_str(r#","cmt":"#);
                        text.push_str(&quote(label));
                    }
                    text.push('}');
                    text
                }
            },
        }
    }
}

/// The payload as JSON: bytes as a string, in base64.
pub(crate) fn push_payload(text: &mut String, payload: &Payload) {
    match payload {
        Payload::Json(json) => text.push_str(json.as_str()),
        Payload::Text(value) => text.push_str(value.to_json().as_str()),
        Payload::Binary(bytes) => {
            text.push('"');
            STANDARD.encode_string(bytes, text);
            text.push('"');
        }
    }
}

pub(super) fn is_presence(publication: &Publication) -> bool {
    publication.kind.is_presence()
}

/// What the protocol calls a change in who is there; none for one that it has no word for.
pub(super) fn action(action: PresenceAction) -> Option<&'static str> {
    match action {
        PresenceAction::Connect | PresenceAction::Join => Some("join"),
        PresenceAction::Disconnect | PresenceAction::Leave => Some("leave"),
        PresenceAction::Timeout => Some("timeout"),
        PresenceAction::StateChange => Some("state-change"),
        _ => None,
    }
}

fn presence(event: &PresenceEvent, timetoken: u64) -> String {
    let action = action(event.action).unwrap_or_default();
    let client = event.client.as_ref().map_or("", |client| client.as_str());
    let (timestamp, occupancy) = (timetoken / TICKS, event.occupancy);
    let mut text = format!(
        r#"{{"action":"{action}","timestamp":{timestamp},"uuid":{},"occupancy":{occupancy}"#,
        quote(client)
    );
    if let Some(state) = &event.state {
        text.push_str(r#","data":"#);
        text.push_str(state.as_str());
    }
    text.push('}');
    text
}

/// The second that an order stands for.
pub(super) fn timestamp(order: u64) -> u64 {
    order / TICKS
}
