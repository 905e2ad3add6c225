//! Messages of nodes about a registry.

use serde::{Deserialize, Serialize};

use crate::publication::{JsonText, Timetoken};

/// Bytes of documents that go into one message, about.
const PART_BYTES: usize = 64 << 10;

/// A document with its key; none where it was removed.
pub(super) type RegistryChange = (String, Option<JsonText>);

/// A document with its key, and when it was set.
pub(super) type Restated = (String, Option<JsonText>, Timetoken);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RegistryMessage {
    /// Documents are set, at the time of the publication.
    Set(Vec<RegistryChange>),
    /// Documents are set as of these times, which an app takes from elsewhere.
    SetAsOf(Vec<(String, Option<JsonText>, u64)>),
    /// Documents were set at these times.
    Restate {
        documents: Vec<(String, Option<JsonText>, u64)>,
        /// The last change that whoever says this knows.
        last: u64,
    },
    /// The nodes shall restate everything. With braces, so that it is no mere text, which is another payload.
    Ask {},
    /// A node has so many documents, and knows this as the last change.
    Have { last: u64, count: usize },
}

impl RegistryMessage {
    pub(super) fn set(changes: &[RegistryChange]) -> Self {
        Self::Set(changes.to_vec())
    }

    pub(super) fn set_as_of(changes: &[RegistryChange], at: Timetoken) -> Self {
        let changes = changes.iter();
        Self::SetAsOf(
            changes
                .map(|(key, value)| (key.clone(), value.clone(), at.0))
                .collect(),
        )
    }

    pub(super) fn restate(documents: &[Restated], last: Timetoken) -> Self {
        let documents = documents.iter();
        Self::Restate {
            documents: documents
                .map(|(key, value, at)| (key.clone(), value.clone(), at.0))
                .collect(),
            last: last.0,
        }
    }

    pub(super) fn read(json: &JsonText) -> Option<Self> {
        serde_json::from_str(json.as_str()).ok()
    }

    /// What it changes, when it is published at `at`.
    pub(super) fn changes(&self, at: Timetoken) -> Vec<Restated> {
        match self {
            Self::Set(changes) => changes
                .iter()
                .map(|(key, value)| (key.clone(), value.clone(), at))
                .collect(),
            Self::SetAsOf(documents) | Self::Restate { documents, .. } => documents
                .iter()
                .map(|(key, value, at)| (key.clone(), value.clone(), Timetoken(*at)))
                .collect(),
            Self::Ask {} | Self::Have { .. } => Vec::new(),
        }
    }
}

/// Cuts documents into parts that are not too long for a message; one part at least.
pub(super) fn parts(documents: &[Restated]) -> Vec<&[Restated]> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, (key, value, _)) in documents.iter().enumerate() {
        bytes += key.len() + value.as_ref().map_or(0, |value| value.as_str().len());
        if bytes >= PART_BYTES {
            parts.push(&documents[start..=index]);
            (start, bytes) = (index + 1, 0);
        }
    }
    if start < documents.len() || parts.is_empty() {
        parts.push(&documents[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_an_object_and_read_as_it_was_written() {
        let value = JsonText::of(&1).unwrap();
        let documents = [
            ("a".to_owned(), Some(value.clone()), Timetoken(5)),
            ("b".to_owned(), None, Timetoken(6)),
        ];
        let changes = documents.clone().map(|(key, value, _)| (key, value));
        let messages = [
            RegistryMessage::set(&changes),
            RegistryMessage::set_as_of(&changes, Timetoken(5)),
            RegistryMessage::restate(&documents, Timetoken(u64::MAX)),
            RegistryMessage::Ask {},
            RegistryMessage::Have { last: 7, count: 8 },
        ];
        for message in &messages {
            let text = JsonText::of(message).unwrap();
            assert!(text.is_object(), "{text:?}");
            let read = RegistryMessage::read(&text).unwrap();
            assert_eq!(JsonText::of(&read).unwrap(), text);
        }
        let at = messages[0].changes(Timetoken(9));
        assert_eq!(at[0], ("a".to_owned(), Some(value), Timetoken(9)));
        assert_eq!(messages[1].changes(Timetoken(9))[1].2, Timetoken(5));
        assert_eq!(messages[2].changes(Timetoken(9)), documents);
    }

    #[test]
    fn parts_hold_everything_in_order() {
        let long = JsonText::of(&"x".repeat(PART_BYTES / 2)).unwrap();
        let documents: Vec<_> = (0..5)
            .map(|n| (format!("{n}"), Some(long.clone()), Timetoken(n)))
            .collect();
        let parts = parts(&documents);
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [2, 2, 1]
        );
        assert_eq!(parts.concat(), documents);
        assert_eq!(super::parts(&[]).len(), 1);
    }
}
