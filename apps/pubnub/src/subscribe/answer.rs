//! The answer to a poll.

use std::{fmt::Write, sync::Arc};

use super::{first_answer, request::Version};
use crate::{
    keys::KeySet,
    stream::Entry,
    subscribe_set::{Location, SubscribeSet},
    text::quote,
};

/// Bytes of an answer around its messages, and of what stands before each of them, for most.
const AROUND_BYTES: usize = 48;

/// Writes the messages that were found, each with the index of the name that led to it.
pub(super) fn write(
    version: Version,
    set: &KeySet,
    subscribe_set: &SubscribeSet,
    cursor: u64,
    found: &[(Arc<Entry>, usize)],
) -> String {
    if version == Version::First {
        return first_answer::write(set, subscribe_set, cursor, found);
    }
    let key = set.quoted_subscribe_key();
    let room = |entry: &Entry| AROUND_BYTES + key.len() + entry.written(set).len();
    let messages: usize = found.iter().map(|(entry, _)| room(entry)).sum();
    let mut text = String::with_capacity(AROUND_BYTES + messages);
    // Writing to a string does not fail.
    let _ = write!(text, r#"{{"t":{{"t":"{cursor}","r":1}},"m":["#);
    for (index, (entry, by)) in found.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(r#"{"a":"1","f":0,"k":"#);
        text.push_str(key);
        text.push(',');
        let target = &subscribe_set.targets[*by];
        // A message that was found by its own name says nothing of it: the SDKs would take it for a group.
        if target.presence || !matches!(target.location, Location::Channel(_)) {
            text.push_str(r#""b":"#);
            text.push_str(&quote(&target.shown));
            text.push(',');
        }
        text.push_str(&entry.written(set));
    }
    text.push_str("]}");
    text
}
