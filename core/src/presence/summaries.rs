//! Summaries of presence: comings and goings on channels with many members, until the members are told of them together.

use std::{collections::HashMap, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    channel::Channel,
    publication::{PresenceEvent, PresenceSummary},
};

/// How long comings and goings are summed up.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// What the members of channels are told next, and when. There are no more than channels that have many members, and each
/// is bounded.
#[derive(Debug, Default)]
pub(crate) struct Summaries {
    summed_up: HashMap<Channel, PresenceSummary>,
    due: Option<Instant>,
}

impl Summaries {
    pub(crate) fn note(&mut self, channel: &Channel, event: &PresenceEvent) {
        self.due.get_or_insert_with(|| Instant::now() + INTERVAL);
        if let Some(summary) = self.summed_up.get_mut(channel) {
            return summary.note(event);
        }
        let summary = self.summed_up.entry(channel.clone()).or_default();
        summary.note(event);
    }

    /// What was summed up on one channel.
    pub(crate) fn take(&mut self, channel: &Channel) -> Option<PresenceSummary> {
        self.summed_up.remove(channel)
    }

    /// What was summed up on all of them.
    pub(crate) fn take_all(&mut self) -> HashMap<Channel, PresenceSummary> {
        self.due = None;
        std::mem::take(&mut self.summed_up)
    }

    /// Returns when the members are to be told; never where there is nothing to tell.
    pub(crate) fn due(&self) -> impl Future<Output = ()> + use<> {
        let due = self.due;
        async move {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }
}
