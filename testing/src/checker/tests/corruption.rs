//! What may be wrong with a log.

#![allow(clippy::ptr_arg, reason = "all corruptions have one form")]

use std::collections::HashSet;

use super::{Answer, Event, Violation, What};
use crate::dice::Dice;

/// Does something to a log, as a seed decides; nothing where the log has no place for it.
type Corrupt = fn(&mut Vec<Event>, u64) -> Option<()>;

/// Whether a violation is one that has to be found.
type Finds = fn(&Violation) -> bool;

pub(super) const CORRUPTIONS: &[(&str, Corrupt, Finds)] = &[
    ("drop one", drop_one, Violation::is_loss),
    ("lose exactly the last", drop_last, Violation::is_loss),
    ("lose on one node only", drop_on_node, Violation::is_loss),
    ("cut the tail", cut_tail, is_unfinished),
    (
        "cut the tail of a subscriber",
        cut_own_tail,
        Violation::is_loss,
    ),
    ("drop the gap notice", drop_gap, Violation::is_loss),
    ("tell of the gap too early", early_gap, Violation::is_loss),
    (
        "acknowledge what was refused",
        acknowledge,
        Violation::is_loss,
    ),
    ("swap two of a publisher", swap_of_publisher, is_order),
    ("reorder over publishers", swap_over_publishers, is_order),
    ("reorder a publisher for all", swap_for_all, is_order),
    ("double", double, is_double),
    ("send again without saying so", hide_again, is_double),
    ("invent", invent, is_phantom),
    ("wrong channel", wrong_channel, is_phantom),
    ("wrong payload", wrong_payload, is_phantom),
    ("deliver before it is published", early, is_phantom),
    ("deliver what was refused", refuse, is_phantom),
    ("deliver to who has not joined", unask, is_phantom),
];

fn is_unfinished(violation: &Violation) -> bool {
    matches!(violation, Violation::Unfinished { .. })
}

fn is_order(violation: &Violation) -> bool {
    matches!(
        violation,
        Violation::PublisherOrder { .. } | Violation::NodeOrder { .. }
    )
}

fn is_double(violation: &Violation) -> bool {
    matches!(violation, Violation::Doubled { .. })
}

fn is_phantom(violation: &Violation) -> bool {
    matches!(
        violation,
        Violation::Invented { .. } | Violation::Refused { .. } | Violation::Unasked { .. }
    )
}

/// A message that a subscriber got, and where in the log.
#[derive(Debug, Clone)]
struct Sight {
    index: usize,
    at: u64,
    subscriber: usize,
    channel: String,
    payload: String,
    again: bool,
}

impl Sight {
    fn publisher(&self) -> &str {
        self.payload.split('-').next().unwrap()
    }
}

fn sights(log: &[Event]) -> Vec<Sight> {
    let seen = log.iter().enumerate().filter_map(|(index, event)| {
        let What::Seen {
            subscriber,
            channel,
            payload,
            again,
        } = &event.what
        else {
            return None;
        };
        Some(Sight {
            index,
            at: event.at,
            subscriber: *subscriber,
            channel: channel.clone(),
            payload: payload.clone(),
            again: *again,
        })
    });
    seen.collect()
}

/// Payloads with this answer.
fn answered(log: &[Event], wanted: Answer) -> HashSet<String> {
    let answers = log.iter().filter_map(|event| match &event.what {
        What::Answered { payload, answer } if *answer == wanted => Some(payload.clone()),
        _ => None,
    });
    answers.collect()
}

/// What was acknowledged, and came once to somebody who was told of no gap soon after.
fn owed(log: &[Event]) -> Vec<Sight> {
    let acknowledged = answered(log, Answer::Acknowledged);
    let all = sights(log);
    let repeated: HashSet<_> = all
        .iter()
        .filter(|sight| sight.again)
        .map(|sight| (sight.subscriber, sight.payload.clone()))
        .collect();
    let is_told = |sight: &Sight| {
        log.iter().any(|event| {
            let soon = event.at >= sight.at && event.at <= sight.at + 6_000_000;
            soon && matches!(event.what, What::Gap { subscriber, .. } if subscriber == sight.subscriber)
        })
    };
    let owed = all.into_iter().filter(|sight| {
        acknowledged.contains(&sight.payload)
            && !repeated.contains(&(sight.subscriber, sight.payload.clone()))
            && !is_told(sight)
    });
    owed.collect()
}

fn node(subscriber: usize) -> usize {
    subscriber / 3
}

fn drop_one(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    log.remove(Dice::new(seed).choose(&owed)?.index);
    Some(())
}

fn drop_last(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let subscriber = Dice::new(seed).throw(6);
    let mut own = owed.iter().filter(|sight| sight.subscriber == subscriber);
    log.remove(own.next_back()?.index);
    Some(())
}

fn drop_on_node(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?.clone();
    log.retain(|event| {
        !matches!(&event.what, What::Seen { subscriber, payload, .. }
            if node(*subscriber) == node(chosen.subscriber) && *payload == chosen.payload)
    });
    Some(())
}

fn cut_tail(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let left = log
        .iter()
        .position(|event| matches!(event.what, What::Left { .. }))?;
    log.truncate(left - Dice::new(seed).throw(left / 2));
    Some(())
}

/// Nothing comes from some time on.
fn cut_own_tail(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?.clone();
    let mut index = 0;
    log.retain(|event| {
        index += 1;
        index <= chosen.index
            || !matches!(event.what, What::Seen { subscriber, .. } if subscriber == chosen.subscriber)
    });
    log.remove(chosen.index);
    Some(())
}

fn drop_gap(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let gaps = gaps(log);
    log.remove(*Dice::new(seed).choose(&gaps)?);
    Some(())
}

/// Notices of gaps that no other one follows so soon that it may stand for them.
fn gaps(log: &[Event]) -> Vec<usize> {
    let of = |event: &Event| match event.what {
        What::Gap { subscriber, .. } => Some(subscriber),
        _ => None,
    };
    let is_alone = |index: &usize| {
        let (begin, own) = (log[*index].at, of(&log[*index]));
        let mut later = log[index + 1..].iter();
        own.is_some() && !later.any(|event| event.at < begin + 8_000_000 && of(event) == own)
    };
    (0..log.len()).filter(is_alone).collect()
}

/// Told, and joined again, before anything was lost.
fn early_gap(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let gaps = gaps(log);
    let index = *Dice::new(seed).choose(&gaps)?;
    let What::Gap { subscriber, .. } = log[index].what else {
        return None;
    };
    let is_own_join = |event: &Event| matches!(event.what, What::Joined { subscriber: own, .. } if own == subscriber);
    let joined = index + log[index..].iter().position(is_own_join)?;
    // Eight pass by before the notice.
    let early = log[index].at.checked_sub(2_000_000)?;
    let to = log.iter().position(|event| event.at >= early)?;
    for (place, from) in [(to, index), (to + 1, joined)] {
        let mut event = log.remove(from);
        event.at = early;
        log.insert(place, event);
    }
    Some(())
}

fn acknowledge(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let refused: Vec<_> = (0..log.len())
        .filter(|index| matches!(&log[*index].what, What::Answered { answer, .. } if *answer == Answer::Refused))
        .collect();
    let chosen = *Dice::new(seed).choose(&refused)?;
    if let What::Answered { answer, .. } = &mut log[chosen].what {
        *answer = Answer::Acknowledged;
    }
    Some(())
}

/// Pairs of messages on a channel that a subscriber got one after the other, and another one of its node too.
fn pairs(log: &[Event], same_publisher: bool) -> Vec<(Sight, Sight)> {
    let owed = owed(log);
    let others: HashSet<_> = owed
        .iter()
        .map(|sight| (sight.subscriber, sight.payload.as_str()))
        .collect();
    let mut pairs = Vec::new();
    for one in &owed {
        let mut after = owed.iter().filter(|other| {
            other.index > one.index
                && other.subscriber == one.subscriber
                && other.channel == one.channel
        });
        let Some(other) = after.next() else { continue };
        let neighbours = (0..6)
            .filter(|number| *number != one.subscriber && node(*number) == node(one.subscriber));
        let is_seen = |number: usize| {
            others.contains(&(number, one.payload.as_str()))
                && others.contains(&(number, other.payload.as_str()))
        };
        if (one.publisher() == other.publisher()) == same_publisher
            && neighbours.into_iter().any(is_seen)
        {
            pairs.push((one.clone(), other.clone()));
        }
    }
    pairs
}

fn swap(log: &mut [Event], one: usize, other: usize) {
    let payloads = [one, other].map(|index| match &log[index].what {
        What::Seen { payload, .. } => payload.clone(),
        _ => unreachable!("it is a sight"),
    });
    for (index, new) in [(other, &payloads[0]), (one, &payloads[1])] {
        // It must have been published by then.
        log[index].at = log[index].at.max(log[other].at);
        if let What::Seen { payload, .. } = &mut log[index].what {
            payload.clone_from(new);
        }
    }
}

fn swap_of_publisher(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let pairs = pairs(log, true);
    let (one, other) = Dice::new(seed).choose(&pairs)?;
    swap(log, one.index, other.index);
    Some(())
}

fn swap_over_publishers(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let pairs = pairs(log, false);
    let (one, other) = Dice::new(seed).choose(&pairs)?;
    swap(log, one.index, other.index);
    Some(())
}

/// Two of a publisher the other way round for everybody, so that no two subscribers disagree.
fn swap_for_all(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let pairs = pairs(log, true);
    let (one, other) = Dice::new(seed).choose(&pairs)?.clone();
    for number in 0..6 {
        let seen = |payload: &str| {
            let is_it = |event: &Event| {
                matches!(&event.what, What::Seen { subscriber, payload: own, again: false, .. }
                    if *subscriber == number && own == payload)
            };
            log.iter().position(is_it)
        };
        if let (Some(first), Some(second)) = (seen(&one.payload), seen(&other.payload)) {
            let event = log.remove(first);
            let at = log[second - 1].at;
            log.insert(second, Event { at, ..event });
        }
    }
    Some(())
}

fn double(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?;
    log.insert(chosen.index, log[chosen.index].clone());
    Some(())
}

fn hide_again(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let repeated: Vec<_> = sights(log).into_iter().filter(|s| s.again).collect();
    let chosen = Dice::new(seed).choose(&repeated)?;
    if let What::Seen { again, .. } = &mut log[chosen.index].what {
        *again = false;
    }
    Some(())
}

fn invent(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?;
    let mut event = log[chosen.index].clone();
    if let What::Seen { payload, .. } = &mut event.what {
        "nobody-1".clone_into(payload);
    }
    log.insert(chosen.index, event);
    Some(())
}

fn wrong_channel(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?;
    if let What::Seen { channel, .. } = &mut log[chosen.index].what {
        *channel = if channel == "a" { "b" } else { "a" }.into();
    }
    Some(())
}

fn wrong_payload(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?;
    if let What::Seen { payload, .. } = &mut log[chosen.index].what {
        payload.push('0');
        payload.push('!');
    }
    Some(())
}

fn early(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?;
    let sent = log
        .iter()
        .find(
            |event| matches!(&event.what, What::Sent { payload, .. } if *payload == chosen.payload),
        )?
        .at;
    log[chosen.index].at = sent - 1;
    Some(())
}

fn refuse(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?;
    for event in log.iter_mut() {
        if let What::Answered { payload, answer } = &mut event.what
            && *payload == chosen.payload
        {
            *answer = Answer::Refused;
        }
    }
    Some(())
}

fn unask(log: &mut Vec<Event>, seed: u64) -> Option<()> {
    let owed = owed(log);
    let chosen = Dice::new(seed).choose(&owed)?;
    let event = log.remove(chosen.index);
    let at = log.last()?.at;
    log.push(Event { at, ..event });
    Some(())
}
