//! What a log proves.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use super::{
    Event, Violation, What,
    attention::{Attention, Sight, Subscriber, subscribers},
    messages::{Message, Messages, messages},
    order::{node_order, publisher_order},
    outages::Outages,
};

/// What a log says.
#[derive(Debug, Default)]
pub struct Report {
    pub published: usize,
    pub acknowledged: usize,
    pub refused: usize,
    /// Messages that subscribers got, each of them counted.
    pub delivered: usize,
    pub gaps_told: usize,
    /// Messages that subscribers did not get and were told of.
    pub told_losses: usize,
    /// Messages that subscribers did not get to whom nothing is promised, such as those of MQTT at QoS 0.
    pub unpromised_losses: usize,
    /// Of those that were told: the longest time from the acknowledgement, or from when nodes were not apart any more, to
    /// the notice of the gap.
    pub told_after: Duration,
    /// The longest time from the acknowledgement of a message until a subscriber had it.
    pub latest: Duration,
    /// From the repair of what was broken until every subscriber had a message from every node that was sent after it.
    pub back_after: Option<Duration>,
    /// Promises that were not kept.
    pub violations: Vec<Violation>,
    /// Silent losses by protocol.
    pub losses: BTreeMap<String, usize>,
}

impl Report {
    /// Messages that were acknowledged, did not come, and of which nobody was told.
    pub fn silent_losses(&self) -> usize {
        self.losses.values().sum()
    }
}

/// Reads a log and says which promises it breaks. A loss that is told later than this is one that is not told.
pub fn check(events: &[Event], told_within: Duration) -> Report {
    let mut report = Report::default();
    let messages = messages(events, &mut report.violations);
    let subscribers = subscribers(events);
    report.published = messages.len();
    report.acknowledged = count(&messages, |message| message.acknowledged().is_some());
    report.refused = count(&messages, |message| message.is_refused());
    let outages = Outages::of(events);
    let mut firsts = BTreeMap::new();
    for (number, subscriber) in &subscribers {
        report.gaps_told += subscriber.gaps;
        report.delivered += subscriber.sights.len();
        if !subscriber.left {
            report.violations.push(Violation::Unfinished {
                subscriber: *number,
            });
        }
        let seen = sights(*number, subscriber, &messages, &mut report);
        publisher_order(*number, &seen, &messages, &mut report.violations);
        losses(
            *number,
            subscriber,
            &seen,
            &messages,
            (&outages, told_within),
            &mut report,
        );
        firsts.insert(*number, seen);
    }
    node_order(&subscribers, &firsts, &messages, &mut report.violations);
    report.back_after = back_after(events, &firsts, &messages);
    report
}

fn count(messages: &Messages<'_>, is_it: impl Fn(&Message<'_>) -> bool) -> usize {
    messages.values().filter(|message| is_it(message)).count()
}

/// Doubles and phantoms of a subscriber; what it saw, each message once.
fn sights<'s, 'a>(
    number: usize,
    subscriber: &'s Subscriber<'a>,
    messages: &Messages<'a>,
    report: &mut Report,
) -> Vec<&'s Sight<'a>> {
    // With how often the subscriber had joined when it came first.
    let mut seen = HashMap::new();
    let mut firsts = Vec::new();
    for sight in &subscriber.sights {
        let payload = sight.payload.to_owned();
        let is_published =
            |message: &&Message<'_>| message.channel == sight.channel && message.sent <= sight.at;
        let Some(message) = messages.get(sight.payload).filter(is_published) else {
            report.violations.push(Violation::Invented {
                subscriber: number,
                channel: sight.channel.to_owned(),
                payload,
            });
            continue;
        };
        if let Some(joins) = seen.get(sight.payload) {
            if !sight.again || *joins == sight.joins {
                report.violations.push(Violation::Doubled {
                    subscriber: number,
                    payload,
                });
            }
            continue;
        }
        seen.insert(sight.payload, sight.joins);
        firsts.push(sight);
        let acknowledged = message.acknowledged().unwrap_or(u64::MAX);
        let late = Duration::from_micros(sight.at.saturating_sub(acknowledged));
        report.latest = report.latest.max(late);
        if message.is_refused() {
            report.violations.push(Violation::Refused {
                subscriber: number,
                payload,
            });
        } else if !sight.asked {
            report.violations.push(Violation::Unasked {
                subscriber: number,
                payload,
            });
        }
    }
    firsts
}

/// What a subscriber is owed and did not get.
fn losses(
    number: usize,
    subscriber: &Subscriber<'_>,
    seen: &[&Sight<'_>],
    messages: &Messages<'_>,
    (outages, told_within): (&Outages, Duration),
    report: &mut Report,
) {
    let seen: HashSet<_> = seen.iter().map(|sight| sight.payload).collect();
    let mut lost: Vec<_> = messages
        .iter()
        .filter(|(payload, _)| !seen.contains(**payload))
        .collect();
    lost.sort_by_key(|(_, message)| message.sent);
    for (payload, message) in lost {
        let Some(acknowledged) = message.acknowledged() else {
            continue;
        };
        let owing = |attention: &&Attention<'_>| {
            attention.from <= message.sent
                && attention.channels.contains(&message.channel)
                && attention.until.is_none_or(|(at, _)| acknowledged <= at)
        };
        let Some(attention) = subscriber.attentions.iter().find(owing) else {
            continue;
        };
        let told_after = match attention.until {
            Some((at, true)) => {
                let missed = outages.missed_from(acknowledged);
                Some(Duration::from_micros(at.saturating_sub(missed)))
            }
            _ => None,
        };
        match told_after.filter(|after| *after <= told_within) {
            Some(after) => {
                report.told_losses += 1;
                report.told_after = report.told_after.max(after);
            }
            None if !subscriber.promised => report.unpromised_losses += 1,
            None => {
                let protocol = subscriber.protocol.to_owned();
                *report.losses.entry(protocol).or_default() += 1;
                report.violations.push(Violation::Lost {
                    subscriber: number,
                    payload: (*payload).to_owned(),
                });
            }
        }
    }
}

/// How long it took after the repair until everybody had something from everybody; none where that never was, or where
/// nothing was broken.
fn back_after(
    events: &[Event],
    firsts: &BTreeMap<usize, Vec<&Sight<'_>>>,
    messages: &Messages<'_>,
) -> Option<Duration> {
    let mended = events
        .iter()
        .rfind(|event| event.what == What::Mended)
        .map(|event| event.at)?;
    let published: HashSet<_> = messages
        .values()
        .filter(|message| {
            message
                .acknowledged()
                .is_some_and(|_| message.sent >= mended)
        })
        .map(|message| message.publisher)
        .collect();
    let mut last = 0;
    for seen in firsts.values() {
        let mut first = HashMap::new();
        for sight in seen {
            let message = messages.get(sight.payload);
            if let Some(message) = message.filter(|message| message.sent >= mended) {
                first.entry(message.publisher).or_insert(sight.at);
            }
        }
        for publisher in &published {
            last = last.max(*first.get(publisher)?);
        }
    }
    (last > 0).then(|| Duration::from_micros(last - mended))
}
