//! The absence of a client whose session waits for it: until when, and with which will.

use serde::{Deserialize, Serialize};

use crate::clock::{in_secs, now};

/// A client is away. In seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Absence {
    /// When the session ends.
    pub(crate) ends_at: u64,
    /// When its will is published.
    pub(crate) will_at: Option<u64>,
}

impl Absence {
    /// Of a client whose session lasts so many seconds.
    pub(crate) fn from_now(expiry_secs: u32) -> Self {
        Self {
            ends_at: in_secs(expiry_secs.into()),
            will_at: None,
        }
    }

    /// True when the session has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ends_at <= now()
    }

    /// True when the will is to be published.
    pub(crate) fn is_will_due(&self) -> bool {
        self.will_at.is_some_and(|at| at <= now())
    }
}
