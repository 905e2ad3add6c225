//! `emitter/me/`: who the asking connection is.

use serde_json::{Value, json};

use crate::emitter_mode::session::EmitterSession;

pub(super) fn answer(session: &EmitterSession) -> Value {
    let mut answer = json!({"status": 200, "id": session.member.id.as_str()});
    let links = session.links.iter();
    let links: serde_json::Map<_, _> = links
        .map(|(name, (_, channel))| (name.clone(), channel.as_str().into()))
        .collect();
    if !links.is_empty() {
        answer["links"] = links.into();
    }
    answer
}
