//! A summary of presence: who came and went on a channel with many members since the last one.

use std::collections::BTreeMap;

use super::{PresenceAction, PresenceEvent};
use crate::identity::ClientId;

/// Bytes of names; with more it is only said how many are there.
const NAMES_BYTES_MAX: usize = 30 << 10;

/// What a name takes besides its text.
const NAME_BYTES: usize = 3;

/// Who came and went on a channel, summed up: whoever came and went again is as before, and is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresenceSummary {
    /// Members of the channel after all of it, as far as the node knows.
    pub occupancy: usize,
    changes: BTreeMap<ClientId, Change>,
    /// Bytes of names.
    bytes: usize,
    is_incomplete: bool,
}

/// How a client came or went; in this order they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Join,
    Leave,
    Timeout,
}

impl Change {
    fn of(action: PresenceAction) -> Option<Self> {
        match action {
            PresenceAction::Connect | PresenceAction::Join => Some(Self::Join),
            PresenceAction::Disconnect | PresenceAction::Leave => Some(Self::Leave),
            PresenceAction::Timeout => Some(Self::Timeout),
            PresenceAction::StateChange => None,
        }
    }
}

impl PresenceSummary {
    /// Adds that somebody came or went. A change of state is no part of it.
    pub fn note(&mut self, event: &PresenceEvent) {
        self.occupancy = event.occupancy;
        if let (Some(client), Some(change)) = (&event.client, Change::of(event.action)) {
            self.take(client, change);
        }
    }

    /// Adds what happened after it.
    pub fn append(&mut self, later: &Self) {
        self.occupancy = later.occupancy;
        if later.is_incomplete {
            self.leave_out();
        }
        for (client, change) in &later.changes {
            self.take(client, *change);
        }
    }

    /// Who came ([`Join`](PresenceAction::Join)), went ([`Leave`](PresenceAction::Leave)), or was not heard of in time
    /// ([`Timeout`](PresenceAction::Timeout)), in the order of their ids.
    pub fn who(&self, action: PresenceAction) -> impl Iterator<Item = &ClientId> {
        let wanted = Change::of(action);
        let changes = self.changes.iter();
        changes.filter_map(move |(client, change)| (Some(*change) == wanted).then_some(client))
    }

    /// True when there were too many to name them: whoever wants to know who is there has to ask.
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// Names nobody from now on.
    pub(super) fn leave_out(&mut self) {
        self.is_incomplete = true;
        self.changes = BTreeMap::new();
        self.bytes = 0;
    }

    fn take(&mut self, client: &ClientId, change: Change) {
        if self.is_incomplete {
            return;
        }
        let bytes = client.as_str().len() + NAME_BYTES;
        match self.changes.insert(client.clone(), change) {
            Some(before) if (before == Change::Join) != (change == Change::Join) => {
                self.changes.remove(client);
                self.bytes -= bytes;
            }
            Some(_) => {}
            None => self.bytes += bytes,
        }
        if self.bytes > NAMES_BYTES_MAX {
            self.leave_out();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: PresenceAction, client: &str, occupancy: usize) -> PresenceEvent {
        PresenceEvent {
            action,
            client: ClientId::new(client).ok(),
            occupancy,
            state: None,
        }
    }

    fn names(summary: &PresenceSummary, action: PresenceAction) -> Vec<&str> {
        summary.who(action).map(ClientId::as_str).collect()
    }

    #[test]
    fn changes_are_summed_up() {
        let mut summary = PresenceSummary::default();
        summary.note(&event(PresenceAction::Connect, "ann", 21));
        summary.note(&event(PresenceAction::Join, "bob", 22));
        summary.note(&event(PresenceAction::StateChange, "bob", 22));
        summary.note(&event(PresenceAction::Leave, "bob", 21));
        summary.note(&event(PresenceAction::Timeout, "eve", 20));
        let mut later = PresenceSummary::default();
        later.note(&event(PresenceAction::Join, "eve", 21));
        later.note(&event(PresenceAction::Disconnect, "joe", 20));
        summary.append(&later);
        assert_eq!(summary.occupancy, 20);
        assert_eq!(names(&summary, PresenceAction::Join), ["ann"]);
        assert_eq!(names(&summary, PresenceAction::Leave), ["joe"]);
        assert!(names(&summary, PresenceAction::Timeout).is_empty());
        assert!(!summary.is_incomplete());
    }

    #[test]
    fn of_too_many_it_is_only_said_how_many_are_there() {
        let mut summary = PresenceSummary::default();
        for number in 0..4000 {
            let client = format!("client {number}");
            summary.note(&event(PresenceAction::Join, &client, number));
        }
        assert!(summary.is_incomplete());
        assert_eq!(summary.occupancy, 3999);
        assert!(names(&summary, PresenceAction::Join).is_empty());
        let mut all = PresenceSummary::default();
        all.note(&event(PresenceAction::Join, "ann", 1));
        all.append(&summary);
        assert!(all.is_incomplete() && names(&all, PresenceAction::Join).is_empty());
    }
}
