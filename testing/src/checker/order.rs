//! The order in which messages came.

use std::collections::{BTreeMap, HashMap};

use super::{
    Violation,
    attention::{Sight, Subscriber},
    messages::{Message, Messages},
};

/// Each publisher's own order at one subscriber: of two acknowledged messages on a channel, where one was sent after the
/// other was acknowledged, that other one comes first.
pub(super) fn publisher_order(
    number: usize,
    firsts: &[&Sight<'_>],
    messages: &Messages<'_>,
    violations: &mut Vec<Violation>,
) {
    // Per publisher and channel: what came so far and was sent last.
    let mut latest = HashMap::<(usize, &str), (&str, u64)>::new();
    for sight in firsts {
        let Some(message) = messages.get(sight.payload) else {
            continue;
        };
        let Some(acknowledged) = message.acknowledged() else {
            continue;
        };
        let latest = latest
            .entry((message.publisher, message.channel))
            .or_insert((sight.payload, message.sent));
        if acknowledged <= latest.1 && latest.0 != sight.payload {
            violations.push(Violation::PublisherOrder {
                subscriber: number,
                first: sight.payload.to_owned(),
                second: latest.0.to_owned(),
            });
        }
        if message.sent > latest.1 {
            *latest = (sight.payload, message.sent);
        }
    }
}

/// One order for all subscribers of a channel on a node.
pub(super) fn node_order(
    subscribers: &BTreeMap<usize, Subscriber<'_>>,
    firsts: &BTreeMap<usize, Vec<&Sight<'_>>>,
    messages: &Messages<'_>,
    violations: &mut Vec<Violation>,
) {
    // Per node and channel: what each subscriber saw, in its order.
    let mut seen = BTreeMap::<(usize, &str), BTreeMap<usize, Vec<&str>>>::new();
    for number in subscribers.keys() {
        for sight in &firsts[number] {
            let is_known = |message: &Message<'_>| message.channel == sight.channel;
            // Others are phantoms.
            if messages.get(sight.payload).is_some_and(is_known) {
                let by = seen.entry((sight.node, sight.channel)).or_default();
                by.entry(*number).or_default().push(sight.payload);
            }
        }
    }
    for ((node, _), by) in &seen {
        let places: Vec<(usize, HashMap<&str, usize>)> = by
            .iter()
            .map(|(number, payloads)| {
                let places = payloads.iter().enumerate();
                (
                    *number,
                    places.map(|(place, payload)| (*payload, place)).collect(),
                )
            })
            .collect();
        for (index, (other, places)) in places.iter().enumerate() {
            for (one, payloads) in by.iter().take(index) {
                let common = payloads
                    .iter()
                    .filter_map(|payload| Some((*payload, *places.get(payload)?)));
                let mut before: Option<(&str, usize)> = None;
                for (payload, place) in common {
                    if let Some((first, _)) = before.filter(|(_, before)| *before > place) {
                        violations.push(Violation::NodeOrder {
                            node: *node,
                            subscribers: [*one, *other],
                            first: first.to_owned(),
                            second: payload.to_owned(),
                        });
                    }
                    before = Some((payload, place));
                }
            }
        }
    }
}
