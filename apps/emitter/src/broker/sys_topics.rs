//! `$SYS` topics: what the server says of itself, for those who read it.
//!
//! The names are those of mosquitto. The numbers are those of this node, and subscribers of this node get them.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use polywire_core::{
    Channel, Draft, Payload, Publication, Retention, Space, Timetoken, space::SYSTEM,
};
use rmqtt_codec::types::QoS;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{
    counters::Counters,
    retained::{RetainedMessages, published},
};
use crate::codec::{filter::Filter, message_properties::MessageProperties};

/// What the server says of itself, and since when.
pub(crate) struct SysTopics {
    space: Arc<Space>,
    counters: Arc<Counters>,
    retained: Arc<RetainedMessages>,
    begun: Instant,
    every: Duration,
}

impl SysTopics {
    pub(crate) fn new(
        space: Arc<Space>,
        counters: Arc<Counters>,
        retained: Arc<RetainedMessages>,
        every: Duration,
    ) -> Self {
        Self {
            space,
            counters,
            retained,
            begun: Instant::now(),
            every,
        }
    }

    /// Publishes everything again and again, as far as somebody reads it, until the server stops.
    pub(crate) async fn run(topics: Weak<Self>) {
        let (stop, mut rounds) = {
            let Some(own) = topics.upgrade() else {
                return;
            };
            let Some(first) = own.begun.checked_add(own.every) else {
                return;
            };
            let stop = own.space.runtime().stopping();
            (stop, interval_at(first, own.every))
        };
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = rounds.tick() => {}
                () = stop.cancelled() => return,
            }
            let Some(own) = topics.upgrade() else {
                return;
            };
            for draft in own.drafts(|channel| own.space.hub().is_wanted(channel)) {
                own.space.publish_here(draft);
            }
        }
    }

    /// What a new subscriber of a filter is told at once, as if it was retained.
    pub(crate) fn of(&self, filter: &Filter) -> Vec<Publication> {
        let drafts = self.drafts(|channel| filter.matches(channel)).into_iter();
        drafts.map(|draft| published(draft, Timetoken(0))).collect()
    }

    fn drafts(&self, is_meant: impl Fn(&Channel) -> bool) -> Vec<Draft> {
        let properties = MessageProperties::of_qos(QoS::AtMostOnce).retained(true);
        let named = TOPICS.iter().filter_map(|(name, value)| {
            let channel = Channel::new(&format!("{SYSTEM}broker/{name}")).ok()?;
            Some((channel, value))
        });
        let meant = named.filter(|(channel, _)| is_meant(channel));
        meant
            .map(|(channel, value)| {
                let payload = Payload::untyped(value(self).into());
                let draft = Draft::new(channel, payload).properties(properties.write());
                draft.retention(Retention::NONE)
            })
            .collect()
    }
}

/// What a topic says.
type Value = fn(&SysTopics) -> String;

/// The topics, without what all of them begin with.
const TOPICS: [(&str, Value); 10] = [
    ("version", |_| {
        format!("polywire version {}", env!("CARGO_PKG_VERSION"))
    }),
    ("uptime", |sys| {
        format!("{} seconds", sys.begun.elapsed().as_secs())
    }),
    ("clients/connected", |sys| {
        sys.counters.connected().to_string()
    }),
    ("clients/disconnected", |sys| {
        let (total, connected) = (sys.counters.sessions(), sys.counters.connected());
        total.saturating_sub(connected).to_string()
    }),
    ("clients/total", |sys| sys.counters.sessions().to_string()),
    ("messages/received", |sys| {
        sys.counters.packets_received().to_string()
    }),
    ("publish/messages/received", |sys| {
        sys.space.hub().traffic().published().to_string()
    }),
    ("publish/messages/sent", |sys| {
        sys.space.hub().traffic().delivered().to_string()
    }),
    ("subscriptions/count", |sys| {
        sys.space.hub().traffic().subscriptions().to_string()
    }),
    ("retained messages/count", |sys| {
        sys.retained.count().to_string()
    }),
];
