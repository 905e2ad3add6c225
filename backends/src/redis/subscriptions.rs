//! Redis subscriptions of this node: those there are, and those there should be.

use std::collections::{HashMap, HashSet, VecDeque};

use polywire_core::{Interest, LocalNode, Pattern};
use redis::{RedisResult, aio::MultiplexedConnection};

use super::{
    changes::{Changes, Waiter},
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
    waiters: Vec<Waiter>,
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

    /// Looks at what changed; `None` when there is nothing to do. Only one round may be under way.
    pub(super) fn next_round(
        &mut self,
        node: &LocalNode,
        names: &Names,
        changes: &Changes,
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
                match (names.subscription(&interest), interest) {
                    (Subscription::Channel(name), _) => self.channel(name, wanted, &mut round),
                    (Subscription::Glob(glob), Interest::Pattern(pattern)) => {
                        self.glob(glob, pattern, wanted, &mut round);
                    }
                    (Subscription::Glob(_), _) => {}
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

    fn channel(&mut self, name: String, wanted: bool, round: &mut Round) {
        if wanted {
            if self.channels.insert(name.clone()) {
                round.subscribe.push(name);
            }
        } else if self.channels.remove(&name) {
            round.unsubscribe.push(name);
        }
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

    /// The round is done.
    pub(super) fn confirmed(&mut self, round: Round) {
        self.unconfirmed.clear();
        round.confirm();
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
    pub(super) async fn run(self, mut connection: MultiplexedConnection) -> RedisResult<Self> {
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
        Ok(self)
    }

    fn confirm(self) {
        for waiter in self.waiters {
            // Who does not wait any more needs no answer.
            let _ = waiter.send(());
        }
    }
}
