//! `emitter/presence/`: who is there, and who comes and goes.

use polywire_core::{
    Origin,
    space::{Action, Attachment},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    clock::now,
    emitter_mode::{
        context::EmitterContext,
        fault::Fault,
        interest::pattern,
        presence,
        session::EmitterSession,
        topic::{BadTopic, Path},
    },
};

/// Those whom one answer names.
const LISTED_MAX: usize = 1000;

#[derive(Deserialize)]
pub(in crate::emitter_mode) struct Body {
    pub(in crate::emitter_mode) key: String,
    pub(in crate::emitter_mode) channel: String,
    status: Option<bool>,
    changes: Option<bool>,
}

pub(super) async fn answer(
    session: &mut EmitterSession,
    body: Body,
    attachment: &mut Attachment,
) -> Result<Value, Fault> {
    let channel = slashed(&body.channel);
    let shown = session.show(&body.key, None, attachment);
    let path = permitted(&session.context, attachment.origin(), &channel)?;
    // Older SDKs say neither, and promise both.
    let changes = match (body.status, body.changes) {
        (None, None) => Some(true),
        (_, changes) => changes,
    };
    match changes {
        Some(true) => session.watch().start(path, &shown.identity).await?,
        Some(false) => session.watch().stop(path).await?,
        None => {}
    }
    Ok(match body.status {
        Some(false) => {
            json!({"status": 200, "time": 0, "event": "", "channel": "", "who": null})
        }
        _ => status(&session.context, path),
    })
}

/// The path of a channel, if whoever asks may see who is there.
pub(in crate::emitter_mode) fn permitted<'c>(
    context: &EmitterContext,
    origin: &Origin,
    channel: &'c str,
) -> Result<&'c str, Fault> {
    let path = Path::parse(channel)?.as_str();
    if path.is_empty() {
        return Err(BadTopic.into());
    }
    let pattern = pattern(path).ok_or(BadTopic)?;
    let seeing = Action::PresenceOfPattern(&pattern);
    let authorized = context.broker.space.authorize(origin, seeing);
    authorized.map_err(Fault::of_gate)?;
    Ok(path)
}

/// Everybody whom a message on a channel would reach.
pub(in crate::emitter_mode) fn status(context: &EmitterContext, path: &str) -> Value {
    let reached = presence::reached(context.broker.space.presence(), path);
    let who: Vec<_> = reached.values().take(LISTED_MAX).collect();
    let who = serde_json::to_value(who).unwrap_or_default();
    json!({"status": 200, "time": now(), "event": "status", "channel": format!("{path}/"), "who": who})
}

/// A channel, which may be written without its last slash here.
pub(in crate::emitter_mode) fn slashed(channel: &str) -> String {
    match channel.strip_suffix('/') {
        Some(_) => channel.to_owned(),
        None => format!("{channel}/"),
    }
}

/// The channel that a refused request was about, as far as it can be read.
pub(in crate::emitter_mode) fn channel_of(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        channel: String,
    }
    serde_json::from_slice::<Body>(body)
        .map(|body| slashed(&body.channel))
        .unwrap_or_default()
}
