//! Operations that services do with connections, wherever the connections are; and what becomes of them. They travel
//! between nodes.

use serde::{Deserialize, Serialize};

use crate::{
    recipients::{Audience, Recipients},
    rights::Right,
};

/// Something to do with connections, on every node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Operation {
    /// Only looks whether there are any.
    Find {
        #[serde(rename = "whose")]
        recipients: Recipients,
    },
    /// They join groups.
    Join {
        #[serde(rename = "whose")]
        recipients: Recipients,
        audience: Audience,
        groups: Vec<String>,
    },
    /// They leave groups; all of them when none is named.
    Leave {
        #[serde(rename = "whose")]
        recipients: Recipients,
        audience: Audience,
        groups: Vec<String>,
    },
    /// They are closed.
    Close {
        #[serde(rename = "whose")]
        recipients: Recipients,
        audience: Audience,
        reason: Option<String>,
    },
    /// One gets a right on a group, or on all, loses it, or is asked for it.
    Permission {
        connection: String,
        change: Change,
        right: Right,
        group: Option<String>,
    },
    /// The members of a group, in the order of their ids.
    List {
        group: String,
        after: Option<String>,
        count_max: usize,
    },
}

/// What is done with a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Change {
    Grant,
    Revoke,
    Check,
}

/// What became of an operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outcome {
    /// Connections that were meant.
    pub(crate) found: usize,
    /// The connection has the right.
    pub(crate) is_allowed: bool,
    /// Who was listed, and one more than fits a page where there are more.
    pub(crate) members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Member {
    pub(crate) connection_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) user_id: Option<String>,
}

impl Operation {
    /// True when it is about one connection: nobody is asked once it was found.
    pub(crate) fn is_about_one(&self) -> bool {
        match self {
            // One connection of a group or user is as good as another.
            Self::Find { .. } | Self::Permission { .. } => true,
            Self::Join { recipients, .. }
            | Self::Leave { recipients, .. }
            | Self::Close { recipients, .. } => {
                matches!(recipients, Recipients::Connection(_))
            }
            Self::List { .. } => false,
        }
    }
}

impl Outcome {
    /// Adds what became of it on another node.
    pub(crate) fn add(&mut self, other: Self) {
        self.found += other.found;
        self.is_allowed |= other.is_allowed;
        self.members.extend(other.members);
    }
}
