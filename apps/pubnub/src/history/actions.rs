//! Message actions: what is attached to messages afterwards.

use bytes::Bytes;
use http::{Method, StatusCode};
use polywire_core::{
    Annotation, Channel, Draft, HistoryError, JsonText, Kind, Payload, Retention, Span, Timetoken,
    http::{Answer, Request},
    space::Action,
};
use serde::Deserialize;

use super::request::{failed, number, one_channel, store};
use crate::{
    call::Call,
    context::Context,
    reply::{self, Refused},
    service,
    text::{decode, quote},
};

/// Bytes of what is posted, and of a type or a value in it.
const BODY_BYTES_MAX: usize = 4 << 10;
const TEXT_BYTES_MAX: usize = 256;

/// Actions of one answer.
const LIMIT: u64 = 100;

#[derive(Debug, Deserialize)]
struct ActionRequest {
    r#type: String,
    value: String,
}

/// The body of a request, which its signature covers; nothing where it is none that adds an action.
pub(crate) async fn body(context: &Context, request: &mut Request) -> Result<Bytes, Refused> {
    if request.method != Method::POST {
        return Ok(Bytes::new());
    }
    let timeout = context.space.limits().body_timeout();
    let body = request.body.read(BODY_BYTES_MAX, timeout).await;
    body.map_err(|error| {
        let (status, message) = reply::body_problem(error);
        refuse(status, message)
    })
}

/// Everything below `/v1/message-actions/{key}`.
pub(crate) async fn route(call: &Call<'_>, path: &[&str], body: &[u8]) -> Result<Answer, Refused> {
    match (call.request.method.clone(), path) {
        (Method::GET, ["channel", channel]) => list(call, channel).await,
        (Method::POST, ["channel", channel, "message", message]) => {
            add(call, channel, message, body).await
        }
        (Method::DELETE, ["channel", channel, "message", message, "action", action]) => {
            remove(call, channel, message, action).await
        }
        (_, ["channel", _, ..]) => Err(reply::method_not_allowed("GET, POST, DELETE")),
        _ => Err(reply::not_found(service::ACTIONS)),
    }
}

/// An error in the form of actions.
fn refuse(status: StatusCode, message: &str) -> Refused {
    let (code, message) = (status.as_u16(), quote(message));
    reply::refuse(
        status,
        format!(
            r#"{{"status":{code},"error":{{"message":{message},"source":"actions","details":[{{"message":{message}}}]}},"service":"Actions"}}"#
        ),
    )
}

fn bad(message: &str) -> Refused {
    refuse(StatusCode::BAD_REQUEST, message)
}

fn timetoken(digits: &str) -> Result<Timetoken, Refused> {
    let number = digits.parse().map_err(|_| bad("Invalid timetoken"))?;
    Ok(Timetoken(number))
}

/// `"type":…,"value":…,"actionTimetoken":…,"messageTimetoken":…`
fn describe(message: Timetoken, annotation: &Annotation) -> String {
    let (kind, value) = (quote(&annotation.kind), quote(&annotation.value));
    let (at, message) = (annotation.at.0, message.0);
    format!(
        r#""type":{kind},"value":{value},"actionTimetoken":"{at}","messageTimetoken":"{message}""#
    )
}

fn with_author(message: Timetoken, annotation: &Annotation) -> String {
    let author = annotation
        .author
        .as_ref()
        .map_or("", |author| author.as_str());
    let (description, author) = (describe(message, annotation), quote(author));
    format!(r#"{{{description},"uuid":{author}}}"#)
}

async fn add(
    call: &Call<'_>,
    channel: &str,
    message: &str,
    body: &[u8],
) -> Result<Answer, Refused> {
    let channel = one_channel(call, channel, |channel| Action::Publish(channel))?;
    let message = timetoken(message)?;
    let asked: ActionRequest = serde_json::from_slice(body)
        .map_err(|_| bad("Invalid JSON: give a type and a value, both texts."))?;
    for text in [&asked.r#type, &asked.value] {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(bad(&format!(
                "A type and a value have 1 to {TEXT_BYTES_MAX} bytes."
            )));
        }
    }
    let Some(author) = call.caller.client() else {
        return Err(bad("Missing uuid"));
    };
    let annotation = Annotation {
        at: call.space().hub().clock().tick(),
        kind: asked.r#type.into(),
        value: asked.value.into(),
        author: Some(author.clone()),
    };
    let added = store(call)?
        .annotate(&channel.clone().into(), message, annotation.clone())
        .await;
    added.map_err(|error| match error {
        HistoryError::NotFound => refuse(
            StatusCode::NOT_FOUND,
            "There is no message with this timetoken.",
        ),
        HistoryError::Exists(_) => {
            refuse(StatusCode::CONFLICT, "Such message action already added")
        }
        HistoryError::Full => bad("The message has as many actions as it may have."),
        error => failed(&error),
    })?;
    tell(call, channel, "added", message, &annotation).await?;
    let data = with_author(message, &annotation);
    Ok(reply::ok(format!(r#"{{"status":200,"data":{data}}}"#)))
}

async fn remove(
    call: &Call<'_>,
    channel: &str,
    message: &str,
    action: &str,
) -> Result<Answer, Refused> {
    let (message, action) = (timetoken(message)?, timetoken(action)?);
    let channel = removable(call, channel, action).await?;
    let removed = store(call)?
        .remove_annotation(&channel.clone().into(), message, action)
        .await;
    let removed = removed.map_err(|error| failed(&error))?;
    let Some(annotation) = removed else {
        let problem = "There is no message action with this timetoken.";
        return Err(refuse(StatusCode::NOT_FOUND, problem));
    };
    tell(call, channel, "removed", message, &annotation).await?;
    Ok(reply::ok(r#"{"status":200,"data":{}}"#))
}

/// The channel of an action that the caller may remove: its own where it may publish, and others where it may delete.
async fn removable(call: &Call<'_>, raw: &str, action: Timetoken) -> Result<Channel, Refused> {
    let name = decode(raw).ok_or_else(|| bad("Invalid Channel"))?;
    if let Some(channel) = call.set.channel(&name) {
        let delete = Action::DeleteHistory(&channel);
        if call.space().may(&call.caller.origin, delete) {
            return Ok(channel);
        }
    }
    let channel = one_channel(call, raw, |channel| Action::Publish(channel))?;
    let at = Span {
        from: action,
        to: action,
    };
    let found = store(call)?
        .annotations(&channel.clone().into(), at, 1)
        .await;
    let found = found.map_err(|error| failed(&error))?;
    let author = found
        .first()
        .and_then(|(_, annotation)| annotation.author.as_ref());
    if author.is_some() && author != call.caller.client() {
        return one_channel(call, raw, |channel| Action::DeleteHistory(channel));
    }
    Ok(channel)
}

/// Tells the subscribers.
async fn tell(
    call: &Call<'_>,
    channel: Channel,
    event: &str,
    message: Timetoken,
    annotation: &Annotation,
) -> Result<(), Refused> {
    let data = describe(message, annotation);
    let event =
        format!(r#"{{"source":"actions","version":"1.0","event":"{event}","data":{{{data}}}}}"#);
    let Ok(event) = JsonText::parse(Bytes::from(event)) else {
        // It was written here.
        return Ok(());
    };
    let name = channel.to_string();
    let draft = Draft::new(channel, Payload::json(event))
        .publisher(annotation.author.clone())
        .kind(Kind::Action)
        .retention(Retention::NONE);
    let published = call.space().publish(&call.caller.origin, draft).await;
    match published {
        Ok(_) => Ok(()),
        Err(refusal) => Err(reply::refused(&refusal, service::ACTIONS, &name)),
    }
}

/// `GET …/channel/{channel}?start=…&end=…&limit=…`: older than `start` and not older than `end`.
async fn list(call: &Call<'_>, raw: &str) -> Result<Answer, Refused> {
    let channel = one_channel(call, raw, |channel| Action::ReadHistory(channel))?;
    let limit = number(call, "limit")?.filter(|limit| *limit > 0);
    let limit = limit.unwrap_or(LIMIT).min(LIMIT) as usize;
    let before = number(call, "start")?.map(Timetoken);
    let from = number(call, "end")?.map_or(Span::ALL.from, Timetoken);
    let span = before.map_or(Span::ALL, Span::before);
    let span = span.and(Span { from, ..Span::ALL });
    // One more than wanted tells whether there are more.
    let found = store(call)?
        .annotations(&channel.into(), span, limit + 1)
        .await;
    let mut found = found.map_err(|error| failed(&error))?;
    let is_cut = found.len() > limit;
    found.truncate(limit);
    found.reverse();
    let data = found
        .iter()
        .map(|(message, action)| with_author(*message, action));
    let data = data.collect::<Vec<_>>().join(",");
    let more = match found.first().filter(|_| is_cut) {
        Some((_, oldest)) => {
            let (key, start) = (call.set.subscribe_key(), oldest.at.0);
            format!(
                r#","more":{{"url":"/v1/message-actions/{key}/channel/{raw}?start={start}&limit={limit}","start":"{start}","limit":{limit}}}"#
            )
        }
        None => String::new(),
    };
    Ok(reply::ok(format!(
        r#"{{"status":200,"data":[{data}]{more}}}"#
    )))
}
