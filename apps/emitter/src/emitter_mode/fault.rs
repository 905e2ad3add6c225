//! Faults: why something is not done, in the numbers of the Emitter protocol.

use polywire_core::{Refusal, RefusalKind, Throttled};
use serde_json::{Map, Value, json};

use super::{keys::InvalidTarget, topic::BadTopic};

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: u16,
    message: String,
}

impl Fault {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// One answer for a key that is none, over, banned, or not for this: nobody is to learn which.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "The key does not allow this.")
    }

    /// What a key is not for, as the channel space says.
    pub(crate) fn of_gate(refusal: Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Forbidden => Self::unauthorized(),
            _ => refusal.into(),
        }
    }

    /// Too many keys that are none came from this address.
    pub(crate) fn throttled(_: Throttled) -> Self {
        Self::bad("Too many wrong keys came from your address. Try again in some seconds.")
    }

    pub(crate) fn wildcard() -> Self {
        Self::new(
            403,
            "Messages are not published to a channel with a wildcard.",
        )
    }

    pub(crate) fn unknown_request() -> Self {
        Self::new(404, "There is no such request.")
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    pub(crate) fn body(&self) -> Map<String, Value> {
        let body = json!({"status": self.status, "message": self.message});
        match body {
            Value::Object(body) => body,
            _ => Map::new(),
        }
    }
}

impl From<BadTopic> for Fault {
    fn from(_: BadTopic) -> Self {
        Self::bad(
            "The topic is not one: write key/channel/, with a slash at the end and levels of letters and digits.",
        )
    }
}

impl From<InvalidTarget> for Fault {
    fn from(invalid: InvalidTarget) -> Self {
        Self::bad(invalid.to_string())
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::Forbidden => 401,
            RefusalKind::Unavailable => 500,
            _ => 400,
        };
        Self::new(status, refusal.message)
    }
}
