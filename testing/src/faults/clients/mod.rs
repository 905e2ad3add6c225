//! Clients of all protocols that come back when their connection ends, as their SDKs do.

mod azure;
mod emitter;
mod history;
mod knsock;
mod mqtt;
mod pubnub;
mod seth;
mod socket;

use std::{io, net::SocketAddr};

use super::watch::Watch;
use crate::checker::Answer;

/// A client that subscribes.
pub(super) trait Subscribe: Send {
    /// Connects, and reads until the connection ends. It tells the watch what it sees, and, where a session should
    /// outlive connections, of each that did not.
    fn listen(&mut self, watch: &Watch) -> io::Error;

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
}

/// One subscriber of each sort, with the name of its protocol and whether it can tell channels apart.
pub(super) fn subscribers(access: &Access) -> Vec<(&'static str, bool, Box<dyn Subscribe>)> {
    let mut all: Vec<(_, _, Box<dyn Subscribe>)> = vec![
        ("PubNub", true, Box::new(pubnub::Poller::default())),
        ("Azure, reliable", true, Box::new(azure::Member::default())),
        ("MQTT, QoS 0", true, Box::new(mqtt::Subscriber::clean())),
        (
            "MQTT session, QoS 1",
            true,
            Box::new(mqtt::Subscriber::with_session()),
        ),
        (
            "Emitter",
            true,
            Box::new(emitter::Subscriber::new(&access.emitter_key)),
        ),
        // Its messages do not name their channel.
        ("Seth-Pusher", false, Box::new(seth::Subscriber)),
        ("kn-sock", true, Box::new(knsock::Subscriber)),
    ];
    if access.keeps {
        all.push((
            "history API, followed",
            false,
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
