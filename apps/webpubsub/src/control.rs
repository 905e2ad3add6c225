//! What nodes tell each other about connections.

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

/// Something to do with connections, on every node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Command {
    /// The payload is for them.
    Send { whose: Whose, audience: Audience },
    /// They join groups.
    Join {
        whose: Whose,
        audience: Audience,
        groups: Vec<String>,
    },
    /// They leave groups; all of them when none is named.
    Leave {
        whose: Whose,
        audience: Audience,
        groups: Vec<String>,
    },
    /// They are closed.
    Close {
        whose: Whose,
        audience: Audience,
        reason: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
struct Marked {
    webpubsub: Command,
}

impl Command {
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
