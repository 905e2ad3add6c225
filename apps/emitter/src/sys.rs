//! `$SYS`: what the server says of itself, for those who read it.
//!
//! The names are those of mosquitto. The numbers are those of this node, and subscribers of this node get them.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use polywire_core::{Channel, Draft, Payload, Retention, space::SYSTEM};
use rmqtt_codec::types::QoS;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{about::About, shared::Shared, subscription::Filter};

/// What the server says of itself, and since when.
pub(crate) struct Sys {
    shared: Weak<Shared>,
    begun: Instant,
    every: Duration,
}

impl Sys {
    pub(crate) fn new(shared: Weak<Shared>, every: Duration) -> Self {
        Self {
            shared,
            begun: Instant::now(),
            every,
        }
    }

    /// Says everything again and again, as long as somebody reads it.
    pub(crate) async fn run(&self) {
        let shared = self.shared.upgrade();
        let (Some(shared), Some(first)) = (shared, self.begun.checked_add(self.every)) else {
            return;
        };
        let stop = shared.space.runtime().stopping();
        drop(shared);
        let mut rounds = interval_at(first, self.every);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = rounds.tick() => {}
                () = stop.cancelled() => return,
            }
            if let Some(shared) = self.shared.upgrade() {
                let wanted = |channel: &Channel| shared.space.hub().is_wanted(channel);
                for draft in self.drafts(wanted) {
                    shared.space.publish_here(draft);
                }
            }
        }
    }

    /// What a new subscriber of a filter is told at once, as if it was retained.
    pub(crate) fn of(&self, filter: &Filter) -> Vec<Draft> {
        self.drafts(|channel| filter.matches(channel))
    }

    fn drafts(&self, is_meant: impl Fn(&Channel) -> bool) -> Vec<Draft> {
        let Some(shared) = self.shared.upgrade() else {
            return Vec::new();
        };
        let about = About::of_qos(QoS::AtMostOnce).retained(true);
        let named = TOPICS.iter().filter_map(|(name, value)| {
            let channel = Channel::new(&format!("{SYSTEM}broker/{name}")).ok()?;
            Some((channel, value))
        });
        let meant = named.filter(|(channel, _)| is_meant(channel));
        meant
            .map(|(channel, value)| {
                let payload = Payload::untyped(value(self, &shared).into());
                let draft = Draft::new(channel, payload).meta(about.meta());
                draft.retention(Retention::NONE)
            })
            .collect()
    }
}

/// What a topic says.
type Value = fn(&Sys, &Arc<Shared>) -> String;

/// The topics, without what all of them begin with.
const TOPICS: [(&str, Value); 10] = [
    ("version", |_, _| {
        format!("polywire version {}", env!("CARGO_PKG_VERSION"))
    }),
    ("uptime", |sys, _| {
        format!("{} seconds", sys.begun.elapsed().as_secs())
    }),
    ("clients/connected", |_, shared| {
        shared.sessions.connected().to_string()
    }),
    ("clients/disconnected", |_, shared| {
        let (total, connected) = (shared.sessions.total(), shared.sessions.connected());
        total.saturating_sub(connected).to_string()
    }),
    ("clients/total", |_, shared| {
        shared.sessions.total().to_string()
    }),
    ("messages/received", |_, shared| {
        shared.packets_received.load(Ordering::Relaxed).to_string()
    }),
    ("publish/messages/received", |_, shared| {
        shared.space.hub().traffic().published().to_string()
    }),
    ("publish/messages/sent", |_, shared| {
        shared.space.hub().traffic().delivered().to_string()
    }),
    ("subscriptions/count", |_, shared| {
        shared.space.hub().traffic().subscriptions().to_string()
    }),
    ("retained messages/count", |_, shared| {
        shared.retained.count().to_string()
    }),
];
