//! A model of a server that keeps its promises, and the logs of its clients.

use std::collections::VecDeque;

use super::{Answer, Event, What};
use crate::dice::Dice;

const NODES: usize = 2;
const PUBLISHERS: usize = 4;
/// Subscribers of each node: two without a session, and one whose messages may come again.
const SUBSCRIBERS: usize = 3;
const CHANNELS: [&str; 2] = ["a", "b"];
const MESSAGES: usize = 240;

/// Microseconds from one message to the next: so that there is more between gaps than may stay untold.
const STEP: u64 = 100_000;

/// A subscriber, and what is on its way to it.
struct Subscriber {
    node: usize,
    keeps: bool,
    under_way: VecDeque<(String, String)>,
    is_joined: bool,
    /// How many messages of each channel pass it by before it is told.
    misses: usize,
}

fn joined(number: usize, node: usize) -> What {
    What::Joined {
        subscriber: number,
        protocol: "model".into(),
        node,
        channels: CHANNELS.map(String::from).to_vec(),
        promised: true,
    }
}

/// The log of clients that a server serves well, with gaps that are told, refusals and answers that never came.
pub(super) fn clean(seed: u64) -> Vec<Event> {
    let mut dice = Dice::new(seed);
    let mut subscribers: Vec<_> = (0..NODES * SUBSCRIBERS)
        .map(|number| Subscriber {
            node: number / SUBSCRIBERS,
            keeps: number % SUBSCRIBERS == 2,
            under_way: VecDeque::new(),
            is_joined: true,
            misses: 0,
        })
        .collect();
    let mut events = Vec::new();
    let mut now = 0;
    for (number, subscriber) in subscribers.iter().enumerate() {
        events.push((now, joined(number, subscriber.node)));
    }
    for message in 0..MESSAGES {
        now += STEP;
        let channel = CHANNELS[dice.throw(CHANNELS.len())].to_owned();
        let publisher = dice.throw(PUBLISHERS);
        let payload = format!("{publisher}-{message}");
        events.push((
            now,
            What::Sent {
                publisher,
                channel: channel.clone(),
                payload: payload.clone(),
            },
        ));
        let answer = match dice.throw(20) {
            0 => Answer::Refused,
            1 => Answer::Unknown,
            _ => Answer::Acknowledged,
        };
        // What was not acknowledged may have reached one node.
        let only = (answer == Answer::Unknown).then(|| dice.throw(NODES + 1));
        for subscriber in &mut subscribers {
            let reached = only.is_none_or(|node| node == subscriber.node);
            if answer == Answer::Refused || !reached || !subscriber.is_joined {
                continue;
            }
            if subscriber.misses > 0 {
                subscriber.misses -= 1;
            } else {
                subscriber
                    .under_way
                    .push_back((channel.clone(), payload.clone()));
            }
        }
        events.push((now + 10, What::Answered { payload, answer }));
        for (number, subscriber) in subscribers.iter_mut().enumerate() {
            for _ in 0..dice.throw(4) {
                subscriber.take_one(number, now + 20, &mut dice, &mut events);
            }
            // In the end all are told of what passed them by.
            if message + 40 < MESSAGES || subscriber.misses > 0 || !subscriber.is_joined {
                subscriber.be_cut_off(number, now + 30, &mut dice, &mut events);
            }
        }
    }
    now += STEP;
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        while !subscriber.under_way.is_empty() {
            subscriber.take_one(number, now, &mut dice, &mut events);
        }
        events.push((now, What::Left { subscriber: number }));
    }
    let events = events.into_iter();
    events.map(|(at, what)| Event { at, what }).collect()
}

impl Subscriber {
    fn take_one(
        &mut self,
        number: usize,
        now: u64,
        dice: &mut Dice,
        events: &mut Vec<(u64, What)>,
    ) {
        let Some((channel, payload)) = self.under_way.pop_front() else {
            return;
        };
        let seen = |again| What::Seen {
            subscriber: number,
            channel: channel.clone(),
            payload: payload.clone(),
            again,
        };
        events.push((now, seen(false)));
        if self.keeps && dice.throw(10) == 0 {
            events.push((now, joined(number, self.node)));
            events.push((now, seen(true)));
        }
    }

    /// Sometimes a few messages pass it by, it is told, and it joins again.
    fn be_cut_off(
        &mut self,
        number: usize,
        now: u64,
        dice: &mut Dice,
        events: &mut Vec<(u64, What)>,
    ) {
        if !self.is_joined {
            self.is_joined = true;
            events.push((now, joined(number, self.node)));
        } else if self.misses == 1 {
            self.misses = 0;
            self.is_joined = false;
            // What waited is lost with the connection.
            self.under_way.clear();
            events.push((
                now,
                What::Gap {
                    subscriber: number,
                    told: "closed".into(),
                },
            ));
        } else if self.misses == 0 && dice.throw(300) == 0 {
            self.misses = 8;
        }
    }
}
