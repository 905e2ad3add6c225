//! Whose connections are meant, and what travels beside a payload.

use std::collections::BTreeSet;

use polywire_core::JsonText;
use serde::{Deserialize, Serialize};

use crate::filter::Filter;

/// What the meta of our publications begins with; that of others is none of our business.
const MARK: &str = r#"{"webpubsub":"#;

/// Who of a group, a hub or a user's connections is meant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Audience {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) excluded: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<Filter>,
}

impl Audience {
    /// Everybody.
    pub(crate) fn is_everybody(&self) -> bool {
        self.excluded.is_empty() && self.filter.is_none()
    }
}

/// Whose connections are meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Whose {
    All,
    Group(String),
    User(String),
    Connection(String),
}

/// What travels beside a payload, where there is anything to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Note {
    /// Whose it is, where it is not for a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) whose: Option<Whose>,
    #[serde(skip_serializing_if = "Audience::is_everybody")]
    pub(crate) audience: Audience,
    /// The bytes are a protobuf `Any`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_protobuf: bool,
}

#[derive(Serialize, Deserialize)]
struct Marked {
    webpubsub: Note,
}

impl Note {
    /// As the meta of a publication.
    pub(crate) fn write(self) -> Option<JsonText> {
        JsonText::of(&Marked { webpubsub: self }).ok()
    }

    /// From the meta of a publication, if it is one of ours.
    pub(crate) fn read(meta: &JsonText) -> Option<Self> {
        let text = meta.as_str();
        if !text.starts_with(MARK) {
            return None;
        }
        serde_json::from_str::<Marked>(text)
            .ok()
            .map(|marked| marked.webpubsub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_survive_their_way() {
        let filter = Filter::parse("userId eq 'ann'").unwrap();
        for note in [
            Note::default(),
            Note {
                is_protobuf: true,
                ..Note::default()
            },
            Note {
                whose: Some(Whose::User("ann".into())),
                audience: Audience {
                    excluded: ["a".to_owned()].into(),
                    filter: Some(filter),
                },
                is_protobuf: false,
            },
        ] {
            let meta = note.clone().write().unwrap();
            assert_eq!(Note::read(&meta), Some(note), "{}", meta.as_str());
        }
        let other = JsonText::parse("{\"webpubsub\":7}".into()).unwrap();
        assert_eq!(Note::read(&other), None);
    }
}
