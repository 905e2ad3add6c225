//! How a server stops.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::settings::{Problem, Settings};

/// `[shutdown]`: how the server stops on SIGTERM, and when an operator has it do so. SIGINT (Ctrl-C) and a second signal stop it
/// without these times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Seconds in which the server says that it is not ready and still takes new connections, until balancers have noticed. Default 0.
    pub ready_secs: u64,
    /// Seconds over which it then sends its clients away, one after the other; a few clients go faster. Default 5.
    pub drain_secs: u64,
}

/// The longest that may be set: an hour.
const SECS_MAX: u64 = 3600;

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            ready_secs: 0,
            drain_secs: 5,
        }
    }
}

impl Settings for Shutdown {
    fn problems(&self) -> Vec<Problem> {
        let both = [
            ("ready_secs", self.ready_secs),
            ("drain_secs", self.drain_secs),
        ];
        let long = both.into_iter().filter(|(_, secs)| *secs > SECS_MAX);
        long.map(|(name, _)| Problem::new(name, "must be at most 3600, which is an hour"))
            .collect()
    }
}

impl Shutdown {
    /// Without any time.
    pub const AT_ONCE: Self = Self {
        ready_secs: 0,
        drain_secs: 0,
    };

    pub(super) fn ready(&self) -> Duration {
        Duration::from_secs(self.ready_secs)
    }

    pub(super) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_secs)
    }
}
