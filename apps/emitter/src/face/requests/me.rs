//! `emitter/me/`: who the asking connection is.

use serde_json::{Value, json};

use crate::face::speaker::Speaker;

pub(super) fn answer(speaker: &Speaker) -> Value {
    let mut answer = json!({"status": 200, "id": speaker.who.id.as_str()});
    let links = speaker.links.iter();
    let links: serde_json::Map<_, _> = links
        .map(|(name, (_, channel))| (name.clone(), channel.as_str().into()))
        .collect();
    if !links.is_empty() {
        answer["links"] = links.into();
    }
    answer
}
