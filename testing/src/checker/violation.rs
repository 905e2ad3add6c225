//! What breaks a promise.

use std::fmt;

/// A promise that was not kept. Times and names are in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// It was acknowledged and never came, and nobody told the subscriber: a silent loss.
    Lost { subscriber: usize, payload: String },
    /// It came twice.
    Doubled { subscriber: usize, payload: String },
    /// Nobody had published it on this channel.
    Invented {
        subscriber: usize,
        channel: String,
        payload: String,
    },
    /// Its publisher had been told that it is refused.
    Refused { subscriber: usize, payload: String },
    /// It came to somebody who was not subscribed.
    Unasked { subscriber: usize, payload: String },
    /// The same payload was published twice, so that nothing can be said of it.
    Ambiguous { payload: String },
    /// One publisher published `first` before `second`; the subscriber got them the other way round.
    PublisherOrder {
        subscriber: usize,
        first: String,
        second: String,
    },
    /// Two subscribers of a node saw these in different orders.
    NodeOrder {
        node: usize,
        subscribers: [usize; 2],
        first: String,
        second: String,
    },
    /// The log says nothing of how it ended for this subscriber.
    Unfinished { subscriber: usize },
}

impl Violation {
    /// Whether it is a silent loss.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whom it happened to.
    pub fn subscriber(&self) -> Option<usize> {
        match self {
            Self::Lost { subscriber, .. }
            | Self::Doubled { subscriber, .. }
            | Self::Invented { subscriber, .. }
            | Self::Refused { subscriber, .. }
            | Self::Unasked { subscriber, .. }
            | Self::PublisherOrder { subscriber, .. }
            | Self::Unfinished { subscriber } => Some(*subscriber),
            Self::NodeOrder { subscribers, .. } => Some(subscribers[0]),
            Self::Ambiguous { .. } => None,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost {
                subscriber,
                payload,
            } => write!(
                f,
                "subscriber {subscriber} lost {payload} and was told of no gap"
            ),
            Self::Doubled {
                subscriber,
                payload,
            } => write!(f, "subscriber {subscriber} got {payload} twice"),
            Self::Invented {
                subscriber,
                channel,
                payload,
            } => write!(
                f,
                "subscriber {subscriber} got {payload} on {channel}, where nobody had published it"
            ),
            Self::Refused {
                subscriber,
                payload,
            } => write!(
                f,
                "subscriber {subscriber} got {payload}, which was refused"
            ),
            Self::Unasked {
                subscriber,
                payload,
            } => write!(
                f,
                "subscriber {subscriber} got {payload} and was not subscribed"
            ),
            Self::Ambiguous { payload } => write!(f, "{payload} was published twice"),
            Self::PublisherOrder {
                subscriber,
                first,
                second,
            } => write!(
                f,
                "subscriber {subscriber} got {second} before {first}, which its publisher published first"
            ),
            Self::NodeOrder {
                node,
                subscribers: [one, other],
                first,
                second,
            } => write!(
                f,
                "on node {node} subscriber {one} got {first} before {second}, and {other} the other way round"
            ),
            Self::Unfinished { subscriber } => {
                write!(f, "the log ends before subscriber {subscriber} has left")
            }
        }
    }
}
