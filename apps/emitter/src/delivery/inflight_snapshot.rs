//! Messages that have not come to their end, and the packet ids that the client may know, as they are written down with
//! a session.

use serde::{Deserialize, Serialize};

/// What has not come to its end: messages by their numbers, and packet ids that the client may know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct InflightSnapshot {
    pub(super) last_id: u16,
    pub(super) last_number: u64,
    /// The number of each message that was sent, its id, and whether the client has it.
    pub(super) sent: Vec<(u64, u16, bool)>,
    /// The first and the last number of each row of messages that wait.
    pub(super) waiting: Vec<(u64, u64)>,
}

impl InflightSnapshot {
    /// True for a message that waited, or came later.
    pub(super) fn still_waits(&self, number: u64) -> bool {
        let row = self.waiting.partition_point(|(_, last)| *last < number);
        let waited = self.waiting.get(row);
        number > self.last_number || waited.is_some_and(|(first, _)| *first <= number)
    }
}
