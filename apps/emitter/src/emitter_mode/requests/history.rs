//! `emitter/history/`: stored messages.

use base64::{Engine, prelude::BASE64_STANDARD};
use polywire_core::{
    Span, Timetoken,
    space::{Action, Attachment},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    codec::encoder::content,
    emitter_mode::{
        fault::Fault,
        interest::pattern,
        session::EmitterSession,
        stored::{MESSAGES_MAX, newest, span},
        topic::{BadTopic, Topic},
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    #[serde(default)]
    key: String,
    channel: String,
    #[serde(rename = "startFromID")]
    start: Option<String>,
}

/// The newest messages first; a start continues behind a message towards older ones.
pub(super) async fn answer(
    session: &mut EmitterSession,
    body: &Body,
    attachment: &mut Attachment,
) -> Result<Value, Fault> {
    let own = format!("{}/{}", body.key, body.channel);
    let text = if body.key.is_empty() {
        &body.channel
    } else {
        &own
    };
    let topic = Topic::parse(text)?;
    let path = topic.path.as_str();
    let pattern = pattern(path).ok_or(BadTopic)?;
    let reading = Action::HistoryOfPattern(&pattern);
    session.show(topic.key, topic.group, attachment);
    let space = session.context.broker.space.clone();
    space
        .authorize(attachment.origin(), reading)
        .map_err(Fault::of_gate)?;
    let mut span = span(&topic.options);
    if let Some(start) = body.start.as_deref().filter(|start| !start.is_empty()) {
        let bytes = BASE64_STANDARD.decode(start).ok();
        let number = bytes.and_then(|bytes| bytes.try_into().ok());
        let number = number.ok_or_else(|| Fault::bad("startFromID is not the id of a message."))?;
        span = span.and(Span::before(Timetoken(u64::from_be_bytes(number))));
    }
    let count = topic.options.last.map_or(MESSAGES_MAX, |last| {
        usize::try_from(last).unwrap_or(MESSAGES_MAX)
    });
    let messages = match space.history() {
        Some(history) => newest(history, path, span, count).await,
        None => Ok(Vec::new()),
    };
    let messages = messages.map_err(|error| Fault::unavailable(format!("Not read: {error}.")))?;
    let messages = messages.iter().rev().map(|message| {
        let name = message.target.channel().map_or("", |name| name.as_str());
        let id = message.position().timetoken.0.to_be_bytes();
        let payload = BASE64_STANDARD.encode(content(&message.payload));
        json!({"id": BASE64_STANDARD.encode(id), "channel": format!("{name}/"), "payload": payload})
    });
    Ok(json!({"messages": messages.collect::<Vec<_>>()}))
}
