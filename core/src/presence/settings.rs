//! Settings of presence.

use serde::{Deserialize, Serialize};

use crate::settings::{Problem, Settings};

/// `[presence]`: what clients are told of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresenceSettings {
    /// Members of a channel, or clients that hear of them, up to which each coming and going is told of at once; where there
    /// are more, they are summed up each second. Default 100.
    pub announce_max: usize,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self { announce_max: 100 }
    }
}

impl Settings for PresenceSettings {
    fn problems(&self) -> Vec<Problem> {
        // Of none at once is a way to have it.
        Vec::new()
    }
}
