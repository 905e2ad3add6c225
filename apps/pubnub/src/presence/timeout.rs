//! The presence timeout: how long a client counts as present after a sign of life.

use std::time::Duration;

use polywire_core::space::Lease;

use crate::settings::Parameters;

/// Reads the seconds that a client wants to count as present.
pub(crate) fn parse_timeout(seconds: Option<&str>) -> Result<Option<Duration>, ()> {
    match seconds {
        None | Some("" | "0") => Ok(None),
        Some(digits) => {
            let seconds: u64 = digits.parse().map_err(|_| ())?;
            // A day is longer than anybody asks for, and no clock overflows.
            Ok(Some(Duration::from_secs(seconds.min(24 * 60 * 60))))
        }
    }
}

/// How long a sign of life counts that asks for so long.
pub(crate) fn stay(settings: &Parameters, timeout: Option<Duration>) -> Lease {
    Lease {
        timeout,
        otherwise: settings.presence_timeout,
        is_held: false,
    }
}
