//! What clients do and see.

use serde::{Deserialize, Serialize};

/// What a publisher was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is published: every subscriber gets it.
    Acknowledged,
    /// The request was wrong (4xx): nobody may get it.
    Refused,
    /// It could not be published everywhere (503), or nobody knows: whoever gets it, gets it once.
    Unknown,
}

/// One thing that happened to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since the log began.
    pub at: u64,
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A publisher is about to publish.
    Sent {
        publisher: usize,
        channel: String,
        payload: String,
    },
    /// It was answered, or gave up.
    Answered { payload: String, answer: Answer },
    /// A subscriber is subscribed from now on: for the first time, after a gap, or by a session that goes on.
    Joined {
        subscriber: usize,
        protocol: String,
        node: usize,
        channels: Vec<String>,
        /// It is promised every message, or a notice of a gap. Others may lose some.
        promised: bool,
    },
    /// A subscriber got a message; `again` when its protocol says that it may have had it before it joined last.
    Seen {
        subscriber: usize,
        channel: String,
        payload: String,
        again: bool,
    },
    /// A subscriber was told that it may have missed something, in its protocol's words, and is not subscribed until
    /// it has joined again.
    Gap { subscriber: usize, told: String },
    /// A subscriber goes, by its own will.
    Left { subscriber: usize },
    /// Somebody breaks something; with `apart`, so that nodes cannot hear of each other before it is mended.
    Broken { fault: String, apart: bool },
    /// What was broken is whole again.
    Mended,
}
