//! Comings and goings of channels with many members, summed up.

use std::collections::BTreeMap;

use polywire_core::{PresenceAction, PresenceEvent};
use serde::Serialize;

use super::entry::timestamp;

/// Bytes of an event; a longer one leaves out who came and went, and says that it does.
const BYTES_MAX: usize = 30 << 10;

/// What happened to the members of one channel since the last event.
#[derive(Debug, Default)]
pub(super) struct Interval {
    occupancy: usize,
    changes: BTreeMap<Box<str>, IntervalChange>,
    /// Bytes of names.
    bytes: usize,
    is_too_long: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IntervalChange {
    Join,
    Leave,
    Timeout,
}

#[derive(Serialize)]
struct IntervalEvent<'a> {
    action: &'static str,
    timestamp: u64,
    occupancy: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    join: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leave: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timeout: Vec<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    here_now_refresh: bool,
}

impl Interval {
    pub(super) fn note(&mut self, event: &PresenceEvent) {
        self.occupancy = event.occupancy;
        let Some(client) = &event.client else { return };
        let change = match event.action {
            PresenceAction::Connect | PresenceAction::Join => IntervalChange::Join,
            PresenceAction::Disconnect | PresenceAction::Leave => IntervalChange::Leave,
            PresenceAction::Timeout => IntervalChange::Timeout,
            _ => return,
        };
        if self.is_too_long {
            return;
        }
        let name = client.as_str();
        match self.changes.insert(name.into(), change) {
            // Who came and went, or the other way round, is as before.
            Some(before)
                if (before == IntervalChange::Join) != (change == IntervalChange::Join) =>
            {
                self.changes.remove(name);
                self.bytes -= name.len() + 3;
            }
            Some(_) => {}
            None => self.bytes += name.len() + 3,
        }
        if self.bytes > BYTES_MAX {
            self.is_too_long = true;
            self.changes.clear();
        }
    }

    /// The event, as JSON.
    pub(super) fn write(&self, order: u64) -> String {
        let who = |wanted| {
            let changes = self.changes.iter();
            let wanted = changes.filter(move |(_, change)| **change == wanted);
            wanted.map(|(name, _)| &**name).collect()
        };
        let event = IntervalEvent {
            action: "interval",
            timestamp: timestamp(order),
            occupancy: self.occupancy,
            join: who(IntervalChange::Join),
            leave: who(IntervalChange::Leave),
            timeout: who(IntervalChange::Timeout),
            here_now_refresh: self.is_too_long,
        };
        let text = serde_json::to_string(&event).unwrap_or_default();
        if text.len() <= BYTES_MAX {
            return text;
        }
        let short = IntervalEvent {
            join: Vec::new(),
            leave: Vec::new(),
            timeout: Vec::new(),
            here_now_refresh: true,
            ..event
        };
        serde_json::to_string(&short).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polywire_core::ClientId;

    fn event(action: PresenceAction, client: &str, occupancy: usize) -> PresenceEvent {
        PresenceEvent {
            action,
            client: Some(ClientId::new(client).unwrap()),
            occupancy,
            state: None,
        }
    }

    #[test]
    fn changes_are_summed_up() {
        let mut interval = Interval::default();
        interval.note(&event(PresenceAction::Join, "ann", 21));
        interval.note(&event(PresenceAction::Join, "bob", 22));
        interval.note(&event(PresenceAction::Leave, "bob", 21));
        interval.note(&event(PresenceAction::Timeout, "eve", 20));
        assert_eq!(
            interval.write(15_000_000_000),
            r#"{"action":"interval","timestamp":1500,"occupancy":20,"join":["ann"],"timeout":["eve"]}"#
        );
    }

    #[test]
    fn too_many_changes_are_left_out() {
        let mut interval = Interval::default();
        for number in 0..4000 {
            interval.note(&event(
                PresenceAction::Join,
                &format!("client {number}"),
                number,
            ));
        }
        assert_eq!(
            interval.write(10_000_000),
            r#"{"action":"interval","timestamp":1,"occupancy":3999,"here_now_refresh":true}"#
        );
    }
}
