//! Recipients of a send: whose connections are meant, and who of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::filter::Filter;

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
pub(crate) enum Recipients {
    All,
    Group(String),
    User(String),
    Connection(String),
}
