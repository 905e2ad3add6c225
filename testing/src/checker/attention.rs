//! What subscribers saw, and for how long they can count on seeing everything.

use std::collections::BTreeMap;

use super::{Event, What};

/// A time for which a subscriber is owed every message of its channels.
#[derive(Debug)]
pub(super) struct Attention<'a> {
    pub(super) from: u64,
    /// When it ended, and whether that was a gap.
    pub(super) until: Option<(u64, bool)>,
    pub(super) channels: Vec<&'a str>,
}

/// A message that a subscriber got.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    pub(super) at: u64,
    pub(super) node: usize,
    pub(super) channel: &'a str,
    pub(super) payload: &'a str,
    /// Its protocol says that it may have come before the subscriber joined last.
    pub(super) again: bool,
    /// How often the subscriber had joined.
    pub(super) joins: usize,
    /// The subscriber was subscribed to this channel just then.
    pub(super) asked: bool,
}

/// All that happened to a subscriber.
#[derive(Debug, Default)]
pub(super) struct Subscriber<'a> {
    pub(super) protocol: &'a str,
    pub(super) attentions: Vec<Attention<'a>>,
    pub(super) sights: Vec<Sight<'a>>,
    pub(super) gaps: usize,
    pub(super) left: bool,
    /// A loss of which it is told nothing is a broken promise.
    pub(super) promised: bool,
    node: usize,
    joins: usize,
}

impl<'a> Subscriber<'a> {
    fn open(&mut self) -> Option<&mut Attention<'a>> {
        self.attentions
            .last_mut()
            .filter(|attention| attention.until.is_none())
    }
}

/// All subscribers of a log by their numbers.
pub(super) fn subscribers(events: &[Event]) -> BTreeMap<usize, Subscriber<'_>> {
    let mut subscribers = BTreeMap::<usize, Subscriber<'_>>::new();
    for Event { at, what } in events {
        match what {
            What::Joined {
                subscriber,
                protocol,
                node,
                channels,
                promised,
            } => {
                let subscriber = subscribers.entry(*subscriber).or_default();
                subscriber.protocol = protocol;
                subscriber.promised = *promised;
                subscriber.node = *node;
                subscriber.joins += 1;
                // Who was told of no gap is owed everything since it joined first.
                if subscriber.open().is_none() {
                    subscriber.attentions.push(Attention {
                        from: *at,
                        until: None,
                        channels: channels.iter().map(String::as_str).collect(),
                    });
                }
            }
            What::Seen {
                subscriber,
                channel,
                payload,
                again,
            } => {
                let subscriber = subscribers.entry(*subscriber).or_default();
                let asked = subscriber
                    .open()
                    .is_some_and(|attention| attention.channels.contains(&channel.as_str()));
                let sight = Sight {
                    at: *at,
                    node: subscriber.node,
                    channel,
                    payload,
                    again: *again,
                    joins: subscriber.joins,
                    asked,
                };
                subscriber.sights.push(sight);
            }
            What::Gap { subscriber, .. } => {
                let subscriber = subscribers.entry(*subscriber).or_default();
                subscriber.gaps += 1;
                if let Some(attention) = subscriber.open() {
                    attention.until = Some((*at, true));
                }
            }
            What::Left { subscriber } => {
                let subscriber = subscribers.entry(*subscriber).or_default();
                subscriber.left = true;
                if let Some(attention) = subscriber.open() {
                    attention.until = Some((*at, false));
                }
            }
            _ => {}
        }
    }
    subscribers
}
