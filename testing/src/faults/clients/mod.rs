//! Clients of all protocols that come back when their connection ends, as their SDKs do.

mod azure;
mod emitter;
mod history;
mod knsock;
mod mqtt;
mod pubnub;
mod seth;
mod socket;

use std::{convert::Infallible, io, net::SocketAddr};

use super::watch::Watch;
use crate::checker::Answer;

/// A client that subscribes.
pub(super) trait Subscribe: Send {
    /// Connects, and reads until the connection ends, for whatever reason. It tells the watch what it sees, and, where a session should
    /// outlive connections, of each that did not.
    fn listen(&mut self, watch: &Watch) -> io::Result<Infallible>;

    /// Whether it has a session that outlives connections, so that the end of one says nothing of a loss.
    fn keeps(&self) -> bool {
        false
    }
}

/// A client that publishes.
pub(super) trait Publish: Send {
    /// Publishes, on the connection of before where that still is.
    fn publish(&mut self, channel: &str, payload: &str) -> io::Result<Answer>;
}

/// What clients need to know of the servers.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// A key of Emitter for every channel.
    pub(super) emitter_key: String,
    /// Messages are kept.
    pub(super) keeps: bool,
    /// And what is kept is not lost.
    pub(super) lasts: bool,
}

/// What a subscriber is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sort {
    /// Its protocol, and how it is used.
    pub(super) protocol: &'static str,
    /// Its messages name their channel, so that it can have many.
    pub(super) names_channels: bool,
    /// It is promised every message, or a notice of a gap, by docs/guarantees.md.
    pub(super) promised: bool,
}

/// One subscriber of each sort.
pub(super) fn subscribers(access: &Access) -> Vec<(Sort, Box<dyn Subscribe>)> {
    let sort = |protocol| Sort {
        protocol,
        names_channels: true,
        promised: true,
    };
    let unpromised = |protocol| Sort {
        promised: false,
        ..sort(protocol)
    };
    let of_one = |protocol| Sort {
        names_channels: false,
        ..sort(protocol)
    };
    let key = &access.emitter_key;
    let pubnub = Sort {
        // It reads what it missed from the store, and has no words for a gap there.
        promised: access.lasts,
        ..sort("PubNub")
    };
    let mut all: Vec<(Sort, Box<dyn Subscribe>)> = vec![
        (pubnub, Box::new(pubnub::Poller::default())),
        (sort("Azure, reliable"), Box::new(azure::Member::default())),
        (
            unpromised("MQTT, QoS 0"),
            Box::new(mqtt::Subscriber::clean()),
        ),
        (
            sort("MQTT session, QoS 1"),
            Box::new(mqtt::Subscriber::with_session()),
        ),
        (
            unpromised("Emitter"),
            Box::new(emitter::Subscriber::new(key)),
        ),
        (of_one("Seth-Pusher"), Box::new(seth::Subscriber)),
        (sort("kn-sock"), Box::new(knsock::Subscriber)),
    ];
    if access.keeps {
        all.push((
            of_one("history API, followed"),
            Box::new(history::Follower::default()),
        ));
    }
    all
}

/// One publisher of each sort to a node, and one that is refused.
pub(super) fn publishers(node: usize, at: SocketAddr, access: &Access) -> Vec<Box<dyn Publish>> {
    vec![
        Box::new(pubnub::Publisher::new(at)),
        Box::new(pubnub::Publisher::with_wrong_keys(at)),
        Box::new(azure::Publisher::new(at)),
        Box::new(mqtt::Publisher::new(at, &format!("publisher-{node}"))),
        Box::new(emitter::publisher(at, node, access)),
        Box::new(seth::Publisher::new(at)),
        Box::new(knsock::Publisher::new(at)),
    ]
}
