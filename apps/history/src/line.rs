//! A stored publication as a line of JSON.

use std::{borrow::Cow, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use polywire_core::{
    Annotation, Channel, ClientId, Draft, Epoch, InvalidJson, JsonText, Kind, Payload, Position,
    Retention, Seq, Stored, Target, Timetoken,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A stored publication as a line of JSON, with everything that a store keeps of it.
///
/// ```json
/// {"channel":"news","epoch":"17636…","seq":7,"timetoken":"17636…","publisher":"ann","data":{"my": "data"}}
/// ```
/// A private message has `user` instead of `channel`. `data` is the JSON that was published, byte for byte; bytes
/// that are neither JSON nor text stand in `base64` instead. `meta`, `properties` (what
/// its app tells others, such as a QoS), `proven` (a credential says who the publisher is), `label` (what the publisher calls this sort of message), `kind` (`signal` or `action`), `ttl_ms` and
/// `annotations` are there where there is something to say. Numbers of more than 53 bits are texts, so that every
/// reader of JSON gets them right.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line<'l> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    channel: Option<Cow<'l, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Id>,
    epoch: String,
    seq: u64,
    timetoken: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<LineKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publisher: Option<Id>,
    #[serde(default, skip_serializing_if = "is_false")]
    proven: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    label: Option<Cow<'l, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    meta: Option<Cow<'l, RawValue>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    properties: Option<Cow<'l, RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'l, RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<LineAnnotation>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// An id as its client wrote it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(serde_json::Number),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineKind {
    Signal,
    Action,
}

#[derive(Debug, Serialize, Deserialize)]
struct LineAnnotation {
    at: String,
    kind: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<Id>,
}

/// Why a line is not a stored publication. Its text says the cause too, so that nothing is left for a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLine {
    /// It is not JSON of the right shape.
    #[error("the line is not valid: {0}")]
    Json(serde_json::Error),
    /// It names no channel and no user, or both.
    #[error("the line must name either a channel or a user")]
    Target,
    /// A number that is written as a text is none.
    #[error("{0} is not a number")]
    Number(&'static str),
    /// It has no data and no base64, or both.
    #[error("the line must have either data or base64")]
    Payload,
    /// Its data or its meta is JSON that not every client can read.
    #[error("the data is not taken: {0}")]
    Data(InvalidJson),
    /// Its base64 is not valid.
    #[error("the base64 is not valid: {0}")]
    Base64(base64::DecodeError),
}

impl Id {
    fn of(client: &ClientId) -> Self {
        let text = client.as_str();
        match text.parse() {
            Ok(number) if client.is_numeric() => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }

    fn client(&self) -> Result<ClientId, InvalidLine> {
        match self {
            Self::Text(text) => ClientId::new(text).map_err(|_| InvalidLine::Target),
            Self::Number(number) => Ok(ClientId::number(number)),
        }
    }
}

/// JSON that was checked before.
fn raw(json: &JsonText) -> Option<Cow<'_, RawValue>> {
    serde_json::from_str::<&RawValue>(json.as_str())
        .ok()
        .map(Cow::Borrowed)
}

impl<'l> Line<'l> {
    /// The line of a stored publication, without its end; `None` for the news of who came and went, which are
    /// nobody's message.
    pub fn write(stored: &Stored) -> Option<String> {
        let publication = &stored.publication;
        let kind = match publication.kind {
            Kind::Message => None,
            Kind::Signal => Some(LineKind::Signal),
            Kind::Action => Some(LineKind::Action),
            _ => return None,
        };
        let text;
        let (data, base64) = match &publication.payload {
            Payload::Json(json) => (raw(json), None),
            Payload::Text(value) => {
                text = value.to_json();
                (raw(&text), None)
            }
            Payload::Binary(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        let position = publication.position();
        let line = Line {
            channel: publication
                .target
                .channel()
                .map(|channel| channel.as_str().into()),
            user: match &publication.target {
                Target::Client(client) => Some(Id::of(client)),
                Target::Channel(_) => None,
            },
            epoch: position.epoch.0.to_string(),
            seq: position.seq.0,
            timetoken: position.timetoken.0.to_string(),
            kind,
            publisher: publication.publisher.as_ref().map(Id::of),
            proven: publication.proven_publisher().is_some(),
            label: publication.label.as_deref().map(Cow::Borrowed),
            meta: publication.meta.as_ref().and_then(raw),
            properties: publication.properties.as_ref().and_then(raw),
            ttl_ms: publication
                .retention
                .ttl
                .map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            data,
            base64,
            annotations: stored.annotations.iter().map(LineAnnotation::of).collect(),
        };
        // What it is made of always has a JSON form. RawValue may hold ends of lines between its tokens.
        let json = serde_json::to_string(&line).ok()?;
        Some(json.replace(['\n', '\r'], " "))
    }

    /// Reads a line.
    ///
    /// # Errors
    /// See [`InvalidLine`].
    pub fn read(line: &'l str) -> Result<Stored, InvalidLine> {
        let read = serde_json::from_str::<Line<'l>>(line);
        read.map_err(InvalidLine::Json)?.stored()
    }

    fn stored(self) -> Result<Stored, InvalidLine> {
        let target: Target = match (&self.channel, &self.user) {
            (Some(channel), None) => Channel::new(channel)
                .map_err(|_| InvalidLine::Target)?
                .into(),
            (None, Some(user)) => user.client()?.into(),
            _ => return Err(InvalidLine::Target),
        };
        let payload = match (&self.data, &self.base64) {
            (Some(data), None) => Payload::json(json(data)?),
            (None, Some(base64)) => {
                let bytes = BASE64_STANDARD.decode(base64);
                Payload::Binary(bytes.map_err(InvalidLine::Base64)?.into())
            }
            _ => return Err(InvalidLine::Payload),
        };
        let mut draft = Draft::new(target, payload).retention(Retention {
            store: true,
            ttl: self.ttl_ms.map(Duration::from_millis),
        });
        draft.publisher = self.publisher.as_ref().map(Id::client).transpose()?;
        draft.is_proven = self.proven && draft.publisher.is_some();
        draft.label = self.label.as_deref().map(Into::into);
        draft.meta = self.meta.as_deref().map(json).transpose()?;
        draft.properties = self.properties.as_deref().map(json).transpose()?;
        draft.kind = match self.kind {
            None => Kind::Message,
            Some(LineKind::Signal) => Kind::Signal,
            Some(LineKind::Action) => Kind::Action,
        };
        let publication = draft.at(Position {
            epoch: Epoch(number("epoch", &self.epoch)?),
            seq: Seq(self.seq),
            timetoken: Timetoken(number("timetoken", &self.timetoken)?),
        });
        let annotations = self.annotations.iter().map(LineAnnotation::annotation);
        let annotations = annotations.collect::<Result<_, _>>()?;
        Ok(Stored::new(Arc::new(publication)).annotations(annotations))
    }
}

impl LineAnnotation {
    fn of(annotation: &Annotation) -> Self {
        Self {
            at: annotation.at.0.to_string(),
            kind: annotation.kind.to_string(),
            value: annotation.value.to_string(),
            author: annotation.author.as_ref().map(Id::of),
        }
    }

    fn annotation(&self) -> Result<Annotation, InvalidLine> {
        Ok(Annotation {
            at: Timetoken(number("at", &self.at)?),
            kind: self.kind.as_str().into(),
            value: self.value.as_str().into(),
            author: self.author.as_ref().map(Id::client).transpose()?,
        })
    }
}

fn json(raw: &RawValue) -> Result<JsonText, InvalidLine> {
    let bytes = Bytes::copy_from_slice(raw.get().as_bytes());
    JsonText::parse(bytes).map_err(InvalidLine::Data)
}

fn number(name: &'static str, text: &str) -> Result<u64, InvalidLine> {
    text.parse().map_err(|_| InvalidLine::Number(name))
}

#[cfg(test)]
mod tests {
    use polywire_core::testkit::sample_drafts;

    use super::*;

    #[test]
    fn everything_survives() {
        let targets: [Target; 2] = [
            Channel::new("ro\"om").unwrap().into(),
            ClientId::number(&7.into()).into(),
        ];
        for (seq, draft) in (1..).zip(targets.iter().flat_map(sample_drafts)) {
            let is_no_message = draft.kind.is_presence() || draft.kind == Kind::Clear;
            let ttl = draft.retention.ttl;
            let draft = draft.except(None).retention(Retention { store: true, ttl });
            let publication = draft.at(Position {
                epoch: Epoch(u64::MAX),
                seq: Seq(seq),
                timetoken: Timetoken(17_000_000_000_000_000 + seq),
            });
            let annotation = Annotation {
                at: Timetoken(17_000_000_000_000_000),
                kind: "reaction".into(),
                value: "\u{1f600}".into(),
                author: Some(ClientId::number(&9.into())),
            };
            let stored = Stored::new(Arc::new(publication)).annotations(vec![annotation]);
            let Some(line) = Line::write(&stored) else {
                assert!(is_no_message);
                continue;
            };
            assert!(!line.contains(['\n', '\r']));
            let read = Line::read(&line).unwrap();
            assert_eq!(read.annotations, stored.annotations);
            let (read, wrote) = (&read.publication, &stored.publication);
            assert_eq!(read.position(), wrote.position());
            match (&read.payload, &wrote.payload) {
                // A text that did not come as JSON comes back as one that did.
                (Payload::Text(read), Payload::Text(wrote)) => {
                    assert_eq!(read.value(), wrote.value());
                }
                (read, wrote) => assert_eq!(read, wrote),
            }
            assert_eq!((&read.target, &read.meta), (&wrote.target, &wrote.meta));
            assert_eq!(read.properties, wrote.properties);
            assert_eq!(
                (&read.publisher, &read.label),
                (&wrote.publisher, &wrote.label)
            );
            assert_eq!((&read.kind, read.retention), (&wrote.kind, wrote.retention));
        }
    }

    #[test]
    fn mistakes_are_said() {
        for (line, wrong) in [
            ("", "not valid"),
            (r#"{"channel":"a"}"#, "missing field"),
            (
                r#"{"epoch":"1","seq":1,"timetoken":"2","data":1}"#,
                "either a channel",
            ),
            (
                r#"{"channel":"a","epoch":"1","seq":1,"timetoken":"2"}"#,
                "either data",
            ),
            (
                r#"{"channel":"a","epoch":"x","seq":1,"timetoken":"2","data":1}"#,
                "epoch is not",
            ),
            (
                r#"{"channel":"a","epoch":"1","seq":1,"timetoken":"2","base64":"?"}"#,
                "base64",
            ),
        ] {
            let error = Line::read(line).unwrap_err().to_string();
            assert!(error.contains(wrong), "{line}: {error}");
        }
    }
}
