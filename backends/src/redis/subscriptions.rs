//! Redis subscriptions of this node: those there are, and those there should be.

use std::collections::{HashMap, HashSet, VecDeque};

use polywire_core::{Interest, LocalNode, Pattern, Target, Timetoken};
use redis::{RedisResult, aio::MultiplexedConnection};

use super::{
    changes::{Changes, Waiter},
    gap_repair::Heads,
    missing::{Place, ReadScripts},
    names::{Names, Subscription},
};

/// Interests that one round looks at, and so names that one command carries, at most.
const ROUND_MAX: usize = 500;

/// The subscriptions of one connection: one for each channel, client and glob, however many members want
/// it. Who wants what is asked of the node each time; nothing is counted here, so nothing can drift.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Looked at next, before the changes.
    backlog: VecDeque<(Interest, Vec<Waiter>)>,
    channels: HashSet<String>,
    /// Globs, with the patterns that need them.
    globs: HashMap<String, HashSet<Pattern>>,
    /// Sent and not confirmed yet.
    unconfirmed: HashSet<String>,
}

/// Commands that make the subscriptions what they should be, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Round {
    subscribe: Vec<String>,
    unsubscribe: Vec<String>,
    subscribe_globs: Vec<String>,
    unsubscribe_globs: Vec<String>,
    /// What is subscribed to by name, in the order of `subscribe`: the channel, its place, and what the node has seen last.
    channels: Vec<(Target, String, Timetoken)>,
    patterns: Vec<Pattern>,
    waiters: Vec<Waiter>,
}

/// What Redis has confirmed.
#[derive(Debug)]
pub(super) struct Confirmed {
    round: Round,
    /// Places that differ from what the node has seen last, by their number.
    differing: Vec<(usize, Option<Place>)>,
    /// The last timetoken, after patterns were subscribed to.
    last: Timetoken,
}

impl Subscriptions {
    /// Begins on a new connection with everything that the node wants.
    pub(super) fn begin(&mut self, interests: Vec<Interest>) {
        *self = Self::default();
        self.backlog = interests.into_iter().map(|i| (i, Vec::new())).collect();
    }

    /// True when the publications on a target's channel surely come back to this node.
    pub(super) fn echoes(&self, channel: &str) -> bool {
        self.channels.contains(channel) && !self.unconfirmed.contains(channel)
    }

    /// True when a channel is subscribed to by name, or will be.
    pub(super) fn has(&self, channel: &str) -> bool {
        self.channels.contains(channel)
    }

    /// Looks at what changed; `None` when there is nothing to do. Only one round may be under way.
    pub(super) fn next_round(
        &mut self,
        node: &LocalNode,
        names: &Names,
        changes: &Changes,
        heads: &mut Heads,
    ) -> Option<Round> {
        loop {
            self.backlog.extend(changes.take());
            if self.backlog.is_empty() {
                return None;
            }
            let mut round = Round::default();
            let count = self.backlog.len().min(ROUND_MAX);
            for (interest, waiters) in self.backlog.drain(..count).collect::<Vec<_>>() {
                let wanted = node.is_occupied(&interest);
                let subscription = names.subscription(&interest);
                let target = match interest {
                    Interest::Channel(channel) => Target::from(channel),
                    Interest::Client(client) => Target::from(client),
                    Interest::Pattern(pattern) => {
                        if let Subscription::Glob(glob) = subscription {
                            if wanted {
                                round.patterns.push(pattern.clone());
                            } else {
                                let channels = &self.channels;
                                heads.pattern_unsubscribed(&pattern, |target| {
                                    channels.contains(&names.channel(target))
                                });
                            }
                            self.glob(glob, pattern, wanted, &mut round);
                        }
                        round.waiters.extend(waiters);
                        continue;
                    }
                };
                if let Subscription::Channel(name) = subscription {
                    let has_changed = self.channel(name, wanted, &mut round);
                    if has_changed && wanted {
                        let last = heads.last(&target);
                        round
                            .channels
                            .push((target.clone(), names.place(&target), last));
                    } else if has_changed {
                        heads.unsubscribed(&target);
                    }
                }
                round.waiters.extend(waiters);
            }
            if round.has_commands() {
                let sent = round.subscribe.iter().chain(&round.subscribe_globs);
                self.unconfirmed = sent.cloned().collect();
                return Some(round);
            }
            round.confirm();
        }
    }

    /// True when it is to be subscribed to and was not, or the other way round.
    fn channel(&mut self, name: String, wanted: bool, round: &mut Round) -> bool {
        if wanted {
            let is_new = self.channels.insert(name.clone());
            if is_new {
                round.subscribe.push(name);
            }
            return is_new;
        }
        let was_there = self.channels.remove(&name);
        if was_there {
            round.unsubscribe.push(name);
        }
        was_there
    }

    fn glob(&mut self, glob: String, pattern: Pattern, wanted: bool, round: &mut Round) {
        let patterns = self.globs.entry(glob.clone()).or_default();
        if wanted {
            let is_new = patterns.is_empty();
            patterns.insert(pattern);
            // A glob that lost its last pattern in this same round is still subscribed to.
            let pending = round.unsubscribe_globs.iter().position(|g| *g == glob);
            match pending {
                Some(index) => drop(round.unsubscribe_globs.swap_remove(index)),
                None if is_new => round.subscribe_globs.push(glob),
                None => {}
            }
            return;
        }
        let removed = patterns.remove(&pattern);
        if patterns.is_empty() {
            self.globs.remove(&glob);
            let pending = round.subscribe_globs.iter().position(|g| *g == glob);
            match pending {
                Some(index) => drop(round.subscribe_globs.swap_remove(index)),
                None if removed => round.unsubscribe_globs.push(glob),
                None => {}
            }
        }
    }

    /// A round is done.
    pub(super) fn confirmed(&mut self, confirmed: Confirmed, heads: &mut Heads) {
        let Confirmed {
            round,
            differing,
            last,
        } = confirmed;
        self.unconfirmed.clear();
        let mut differing = differing.into_iter().peekable();
        for (number, (target, _, known)) in round.channels.iter().enumerate() {
            let place = differing.next_if(|(differs, _)| *differs == number);
            match place {
                Some((_, place)) => {
                    heads.differs(target, place.as_ref());
                    heads.subscribed(target, place.as_ref());
                }
                None if *known == Timetoken(0) => heads.subscribed(target, None),
                None => {}
            }
        }
        for pattern in &round.patterns {
            heads.pattern_subscribed(pattern, last);
        }
        round.confirm();
    }
}

#[cfg(test)]
impl Confirmed {
    /// Of a round after which nothing differs.
    pub(super) fn new(round: Round) -> Self {
        Self {
            round,
            differing: Vec::new(),
            last: Timetoken(0),
        }
    }
}

impl Round {
    fn has_commands(&self) -> bool {
        let lists = [
            &self.subscribe,
            &self.unsubscribe,
            &self.subscribe_globs,
            &self.unsubscribe_globs,
        ];
        lists.iter().any(|list| !list.is_empty())
    }

    /// Sends the commands and waits until Redis has confirmed them.
    pub(super) async fn run(
        self,
        mut connection: MultiplexedConnection,
        scripts: ReadScripts,
        timetoken: String,
        run: String,
    ) -> RedisResult<Confirmed> {
        if !self.subscribe.is_empty() {
            connection.subscribe(&self.subscribe).await?;
        }
        if !self.subscribe_globs.is_empty() {
            connection.psubscribe(&self.subscribe_globs).await?;
        }
        if !self.unsubscribe.is_empty() {
            connection.unsubscribe(&self.unsubscribe).await?;
        }
        if !self.unsubscribe_globs.is_empty() {
            connection.punsubscribe(&self.unsubscribe_globs).await?;
        }
        let places = self.channels.iter();
        let places: Vec<_> = places.map(|(_, place, last)| (place, *last)).collect();
        let differing = match places.is_empty() {
            true => Vec::new(),
            false => {
                scripts
                    .differing(&mut connection, &places, Some(&run))
                    .await?
            }
        };
        let last: Option<u64> = match self.patterns.is_empty() {
            true => None,
            false => {
                redis::cmd("GET")
                    .arg(timetoken)
                    .query_async(&mut connection)
                    .await?
            }
        };
        Ok(Confirmed {
            round: self,
            differing,
            last: Timetoken(last.unwrap_or(0)),
        })
    }

    fn confirm(self) {
        for waiter in self.waiters {
            // Who does not wait any more needs no answer.
            let _ = waiter.send(());
        }
    }
}
