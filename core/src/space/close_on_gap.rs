//! When clients whose protocol has no words for a gap are disconnected because of one.

use serde::{Deserialize, Serialize};

use super::Space;
use crate::{delivery::EndReason, framing::CloseReason, publication::Target};

/// When a client is disconnected because messages of its channels [are lost](crate::delivery::Receiver::gap): so it learns
/// of it, connects again, and reads what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloseOnGap {
    /// Where messages are kept, since its pages then may rely on having all of them.
    #[default]
    Kept,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl CloseOnGap {
    /// Why a client is disconnected that has a gap on `target`; `None` where it is not.
    pub fn reason(self, space: &Space, target: &Target) -> Option<EndReason> {
        let closes = match self {
            Self::Kept => space.history().is_some(),
            Self::Always => true,
            Self::Never => false,
        };
        let reason = || {
            CloseReason::new(
                4009,
                "Messages were lost: subscribe again and read the history",
            )
        };
        (closes && !target.is_reserved()).then(|| EndReason::Disconnected(reason()))
    }
}
