//! Publishing: messages, signals, and what is fired at nobody.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;
use http::{Method, StatusCode};
use polywire_core::{
    Draft, InvalidJson, JsonText, Kind, Payload, Refusal, RefusalKind, Retention,
    http::{Answer, Request},
    space::Action,
};

use crate::{
    compression::{UnpackError, unpack},
    context::Context,
    keys::KeySet,
    names,
    query::Query,
    reply, service,
    text::{decode, quote},
};

/// Bytes of a signal.
const SIGNAL_BYTES_MAX: usize = 64;

/// Characters of a custom message type.
const LABEL_CHARS: std::ops::RangeInclusive<usize> = 3..=50;

/// Something that is to be published, as its address says it.
pub(crate) struct Publish<'p> {
    publish_key: &'p str,
    channel: &'p str,
    /// The message in the address, percent-encoded; parts between slashes that should have been encoded.
    message: &'p [&'p str],
    is_signal: bool,
}

/// What was wrong.
enum Problem {
    /// Said in the form of publishing.
    Publish(StatusCode, &'static str),
    /// An answer that is written already.
    Answer(reply::Refused),
}

impl From<reply::Refused> for Problem {
    fn from(answer: reply::Refused) -> Self {
        Self::Answer(answer)
    }
}

const fn bad(message: &'static str) -> Problem {
    Problem::Publish(StatusCode::BAD_REQUEST, message)
}

const TOO_LARGE: Problem = Problem::Publish(StatusCode::PAYLOAD_TOO_LARGE, "Message Too Large");
const INVALID_JSON: Problem = bad("Invalid JSON");

impl<'p> Publish<'p> {
    pub(crate) fn message(publish_key: &'p str, channel: &'p str, message: &'p [&'p str]) -> Self {
        Self {
            publish_key,
            channel,
            message,
            is_signal: false,
        }
    }

    pub(crate) fn signal(publish_key: &'p str, channel: &'p str, message: &'p [&'p str]) -> Self {
        Self {
            is_signal: true,
            ..Self::message(publish_key, channel, message)
        }
    }

    /// Publishes; the answer is the timetoken that resumes right behind it.
    pub(crate) async fn run(
        self,
        context: &Arc<Context>,
        request: &mut Request,
        query: &Query<'_>,
        subscribe_key: &str,
    ) -> Result<Answer, reply::Refused> {
        // Failures have a status too: the SDKs take everything with 200 for a success.
        let set = context.keys.find(subscribe_key);
        match self.publish(context, request, query, set).await {
            Ok(timetoken) => Ok(reply::ok(format!(r#"[1,"Sent","{timetoken}"]"#))),
            Err(Problem::Answer(answer)) => Err(answer),
            Err(Problem::Publish(status, message)) => Err(self::answer(context, status, message)),
        }
    }

    async fn publish(
        &self,
        context: &Arc<Context>,
        request: &mut Request,
        query: &Query<'_>,
        set: Option<&KeySet>,
    ) -> Result<u64, Problem> {
        let set = set.filter(|set| set.publish_key() == self.publish_key);
        let set = set.ok_or(bad("Invalid Key"))?;
        let caller = context
            .admit(set, request, query, b"", service::PUBLISH)
            .await?;
        let name = decode(self.channel).ok_or(bad("Invalid Channel"))?;
        let channel = set.channel(&name).ok_or(bad("Invalid Channel"))?;
        // Before its message is read.
        let judged = context
            .space
            .authorize(&caller.origin, Action::Publish(&channel));
        judged.map_err(|refusal| refused(context, &refusal, &name))?;
        if names::pattern(&name).is_some() {
            return Err(bad("Publishing to a wildcard is not allowed"));
        }
        let text = self.text(context, request).await?;
        if self.is_signal {
            if text.len() > SIGNAL_BYTES_MAX {
                return Err(bad("Signal size too large"));
            }
        } else if text.len() + name.len() > context.settings.message_bytes_max {
            return Err(TOO_LARGE);
        }
        let message = JsonText::parse(text).map_err(not_taken)?;
        let options = Options::parse(query, self.is_signal)?;
        if !options.is_delivered {
            // Fired: there are no functions here that it could run.
            return Ok(context.space.hub().clock().tick().0);
        }
        let kind = if self.is_signal {
            Kind::Signal
        } else {
            Kind::Message
        };
        let draft = Draft::new(channel, Payload::json(message))
            .publisher(caller.client().cloned())
            .kind(kind)
            .meta(options.meta)
            .label(options.label)
            .retention(options.retention);
        // Whoever polls for it later must find it: the streams are there before the message is.
        context.streams().await;
        match context.space.publish(&caller.origin, draft).await {
            Ok(Some(receipt)) => Ok(receipt.position.timetoken.0),
            // Dropped by the dispatcher, and the client is to believe otherwise.
            Ok(None) => Ok(context.space.hub().clock().tick().0),
            Err(refusal) => Err(refused(context, &refusal, &name)),
        }
    }

    /// The text of the message, from the address or from the body.
    async fn text(&self, context: &Context, request: &mut Request) -> Result<Bytes, Problem> {
        if !self.message.is_empty() {
            let raw = self.message.join("/");
            let text = decode(&raw).ok_or(INVALID_JSON)?;
            return Ok(text.into_owned().into());
        }
        if request.method != Method::POST || self.is_signal {
            return Err(INVALID_JSON);
        }
        let limit = context.settings.message_bytes_max;
        let timeout = context.space.limits().body_timeout();
        let body = request.body.read(limit, timeout).await.map_err(|error| {
            let (status, message) = reply::body_problem(error);
            Problem::Publish(status, message)
        })?;
        if !request.headers.contains_key(http::header::CONTENT_ENCODING) {
            return Ok(body);
        }
        unpack(&body, limit).map_err(|error| match error {
            UnpackError::TooLong => TOO_LARGE,
            UnpackError::Malformed => INVALID_JSON,
        })
    }
}

/// Why a message is no JSON that every reader takes.
fn not_taken(error: InvalidJson) -> Problem {
    match error {
        InvalidJson::NumberTooLarge => {
            bad("Invalid JSON: a number is above 1.8e308; send it as a string")
        }
        InvalidJson::TooDeep => bad("Invalid JSON: it is nested more than 60 levels deep"),
        _ => INVALID_JSON,
    }
}

/// What the query says of a message.
struct Options {
    meta: Option<JsonText>,
    label: Option<ByteString>,
    retention: Retention,
    is_delivered: bool,
}

impl Options {
    fn parse(query: &Query<'_>, is_signal: bool) -> Result<Self, Problem> {
        let value = |name, problem| match query.get(name) {
            Some(value) => Ok(value.filter(|value| !value.is_empty())),
            None => Err(bad(problem)),
        };
        let label = value("custom_message_type", "Invalid custom message type")?;
        if let Some(label) = &label {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !LABEL_CHARS.contains(&label.len()) || !label.chars().all(allowed) {
                return Err(bad("Invalid custom message type"));
            }
        }
        let label = label.map(|label| ByteString::from(&*label));
        if is_signal {
            return Ok(Self {
                meta: None,
                label,
                retention: Retention::NONE,
                is_delivered: true,
            });
        }
        let meta = value("meta", "Invalid meta")?;
        let meta = meta.map(|meta| JsonText::parse(meta.into_owned().into()));
        let meta = meta.transpose().map_err(|_| bad("Invalid meta"))?;
        let store = value("store", "Invalid store")?.as_deref() != Some("0");
        let ttl = value("ttl", "Invalid ttl")?;
        let ttl = ttl.map(|hours| hours.parse::<f64>().map_err(|_| bad("Invalid ttl")));
        let hours = ttl.transpose()?.unwrap_or_default();
        let ttl = if hours > 0.0 {
            let ttl = Duration::try_from_secs_f64(hours * 3600.0);
            Some(ttl.map_err(|_| bad("Invalid ttl"))?)
        } else {
            None
        };
        let norep = value("norep", "Invalid norep")?;
        Ok(Self {
            meta,
            label,
            retention: Retention {
                store,
                ttl: ttl.filter(|_| store),
            },
            is_delivered: !matches!(norep.as_deref(), Some("1" | "true")),
        })
    }
}

fn refused(context: &Context, refusal: &Refusal, channel: &str) -> Problem {
    Problem::Answer(match refusal.kind {
        RefusalKind::Forbidden => reply::refused(refusal, service::PUBLISH, channel),
        RefusalKind::LimitExceeded | RefusalKind::Invalid => {
            answer(context, StatusCode::BAD_REQUEST, &refusal.message)
        }
        _ => answer(context, StatusCode::SERVICE_UNAVAILABLE, &refusal.message),
    })
}

/// The message is too long.
pub(crate) fn too_large(context: &Context) -> reply::Refused {
    answer(context, StatusCode::PAYLOAD_TOO_LARGE, "Message Too Large")
}

/// An error in the form of publishing.
fn answer(context: &Context, status: StatusCode, message: &str) -> reply::Refused {
    let timetoken = context.space.hub().clock().tick().0;
    reply::refuse(status, format!(r#"[0,{},"{timetoken}"]"#, quote(message)))
}
