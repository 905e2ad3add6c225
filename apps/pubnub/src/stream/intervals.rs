//! Comings and goings of channels with many members, summed up.

use polywire_core::{ClientId, PresenceAction, PresenceSummary};
use serde::Serialize;

use super::entry::timestamp;

/// Bytes of an event; a longer one leaves out who came and went, and says that it does.
const BYTES_MAX: usize = 30 << 10;

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

/// What happened to the members of one channel since the last event, as the protocol's event in JSON.
pub(super) fn write(summary: &PresenceSummary, order: u64) -> String {
    let who = |action| summary.who(action).map(ClientId::as_str).collect();
    let event = IntervalEvent {
        action: "interval",
        timestamp: timestamp(order),
        occupancy: summary.occupancy,
        join: who(PresenceAction::Join),
        leave: who(PresenceAction::Leave),
        timeout: who(PresenceAction::Timeout),
        here_now_refresh: summary.is_incomplete(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use polywire_core::PresenceEvent;

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
        let mut interval = PresenceSummary::default();
        interval.note(&event(PresenceAction::Join, "ann", 21));
        interval.note(&event(PresenceAction::Join, "bob", 22));
        interval.note(&event(PresenceAction::Leave, "bob", 21));
        interval.note(&event(PresenceAction::Timeout, "eve", 20));
        assert_eq!(
            write(&interval, 15_000_000_000),
            r#"{"action":"interval","timestamp":1500,"occupancy":20,"join":["ann"],"timeout":["eve"]}"#
        );
    }

    #[test]
    fn too_many_changes_are_left_out() {
        let mut interval = PresenceSummary::default();
        for number in 0..4000 {
            interval.note(&event(
                PresenceAction::Join,
                &format!("client {number}"),
                number,
            ));
        }
        assert_eq!(
            write(&interval, 10_000_000),
            r#"{"action":"interval","timestamp":1,"occupancy":3999,"here_now_refresh":true}"#
        );
    }
}
