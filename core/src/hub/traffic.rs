//! Traffic counters of this node.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::{delivery::thread_number, interest::Interest};

/// Threads that count for themselves; further ones share.
const LANES: usize = 8;

/// Counts what passes: once for each publication, however many get it, and on cache lines that no other thread writes.
#[derive(Debug, Default)]
pub struct Traffic {
    lanes: [TrafficLane; LANES],
    subscriptions: AtomicUsize,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct TrafficLane {
    published: AtomicU64,
    delivered: AtomicU64,
}

impl Traffic {
    /// Messages that clients of this node have published.
    pub fn published(&self) -> u64 {
        let lanes = self.lanes.iter();
        lanes
            .map(|lane| lane.published.load(Ordering::Relaxed))
            .sum()
    }

    /// Deliveries of messages to those who subscribed on this node.
    pub fn delivered(&self) -> u64 {
        let lanes = self.lanes.iter();
        lanes
            .map(|lane| lane.delivered.load(Ordering::Relaxed))
            .sum()
    }

    /// Subscriptions of this node, to channels and to patterns.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed)
    }

    fn lane(&self) -> &TrafficLane {
        &self.lanes[thread_number() % LANES]
    }

    pub(crate) fn add_published(&self) {
        self.lane().published.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_delivered(&self, deliveries: u64) {
        let delivered = &self.lane().delivered;
        delivered.fetch_add(deliveries, Ordering::Relaxed);
    }

    pub(super) fn joined(&self, interest: &Interest) {
        if is_subscription(interest) {
            self.subscriptions.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn left(&self, interest: &Interest) {
        if is_subscription(interest) {
            self.subscriptions.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What apps use among themselves is none.
fn is_subscription(interest: &Interest) -> bool {
    match interest {
        Interest::Channel(channel) => !channel.is_reserved(),
        Interest::Pattern(_) => true,
        Interest::Client(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel::Channel,
        delivery::{Fanout, Flusher, Receiver},
        hub::Hub,
        identity::{ClientId, ConnectionId},
        pattern::Pattern,
        publication::{Draft, Payload},
    };
    use std::sync::Arc;

    struct Nobody(ConnectionId);

    impl Receiver for Nobody {
        fn connection(&self) -> ConnectionId {
            self.0
        }
        fn client(&self) -> Option<ClientId> {
            None
        }
        fn deliver(&self, _: &mut Fanout<'_>) {}
    }

    #[test]
    fn deliveries_and_subscriptions_are_counted_and_what_apps_use_among_themselves_is_not() {
        let hub = Hub::new(Flusher::new(1));
        let channel = |name: &str| Interest::Channel(Channel::new(name).unwrap());
        let own = channel("$polywire/own");
        let wide = Interest::Pattern(Pattern::mqtt("#").unwrap());
        let joined = [channel("a"), channel("b"), own.clone(), wide].map(|interest| {
            let nobody = Arc::new(Nobody(ConnectionId::next(hub.node())));
            let number = hub.join(&interest, nobody);
            (interest, number)
        });
        assert_eq!(hub.traffic().subscriptions(), 3);
        for (name, deliveries) in [("a", 2), ("c", 3), ("$polywire/own", 3)] {
            let target = Channel::new(name).unwrap();
            assert!(hub.is_wanted(&target));
            hub.publish_unstored(Draft::new(target, Payload::text("x")));
            assert_eq!(hub.traffic().delivered(), deliveries, "{name}");
        }
        for (interest, number) in joined {
            hub.leave(&interest, number);
        }
        assert_eq!(hub.traffic().subscriptions(), 0);
        assert!(!hub.is_wanted(&Channel::new("a").unwrap()));
    }
}
