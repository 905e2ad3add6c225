//! Messages between nodes.

use polywire_core::JsonText;
use serde::{Deserialize, Serialize};

use crate::operation::{Operation, Outcome};

/// What nodes say to each other. Nodes are known by their numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Message {
    /// Everybody is to do this and answer.
    Ask {
        from: u64,
        number: u64,
        hub: String,
        operation: Operation,
    },
    /// What became of it on one node.
    Answer {
        from: u64,
        to: u64,
        number: u64,
        outcome: Outcome,
    },
}

impl Message {
    /// As the meta of a publication.
    pub(super) fn write(&self) -> Option<JsonText> {
        JsonText::of(self).ok()
    }

    pub(super) fn read(meta: &JsonText) -> Option<Self> {
        serde_json::from_str(meta.as_str()).ok()
    }
}
