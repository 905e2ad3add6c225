//! Bounds of what is kept for clients that ask later.

use std::time::Duration;

/// Messages that one answer holds at most.
pub(crate) const MESSAGES_MAX: usize = 100;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    /// Of the messages of one channel, and of its presence events.
    pub(crate) channel_bytes_max: usize,
    pub(crate) age_max: Duration,
    /// Members up to which every coming and going is told of by itself.
    pub(crate) announce_max: usize,
    /// Polls are also given what history has.
    pub(crate) has_history: bool,
}
