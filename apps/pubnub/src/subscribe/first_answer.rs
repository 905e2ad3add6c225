//! The answer to a poll of the first version: `[[messages],"cursor"]`, with the names that each message came by where
//! there may be several.

use std::sync::Arc;

use crate::{
    keys::KeySet,
    stream::Entry,
    subscribe_set::{Location, SubscribeSet},
    text::quote,
};

/// Bytes of an answer around its messages.
const AROUND_BYTES: usize = 64;

/// Writes the messages that were found, each with the index of the name that led to it.
///
/// For several channels their names follow, one for each message and with commas between them. With groups or wildcards it
/// is the name that was subscribed, and behind it the channel.
pub(super) fn write(
    set: &KeySet,
    subscribe_set: &SubscribeSet,
    cursor: u64,
    found: &[(Arc<Entry>, usize)],
) -> String {
    let messages: usize = found.iter().map(|(entry, _)| entry.bytes()).sum();
    let mut text = String::with_capacity(AROUND_BYTES + messages);
    text.push_str("[[");
    for (index, (entry, _)) in found.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        entry.push_data(&mut text);
    }
    text.push_str(&format!(r#"],"{cursor}""#));
    let targets = &subscribe_set.targets;
    if targets.len() > 1 || !targets.iter().all(is_channel) {
        let channels = found.iter().map(|(entry, _)| entry.name(set));
        let channels = quote(&channels.collect::<Vec<_>>().join(","));
        if !targets.iter().all(is_channel) {
            let subscribed = found.iter().map(|(_, by)| &*targets[*by].shown);
            text.push(',');
            text.push_str(&quote(&subscribed.collect::<Vec<_>>().join(",")));
        }
        text.push(',');
        text.push_str(&channels);
    }
    text.push(']');
    text
}

fn is_channel(target: &crate::subscribe_set::SubscribeTarget) -> bool {
    matches!(target.location, Location::Channel(_))
}
