//! The time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whole seconds since 1970.
pub(crate) fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.unwrap_or(Duration::ZERO).as_secs()
}

/// When so many seconds have passed, in whole seconds since 1970: never earlier.
pub(crate) fn in_secs(secs: u64) -> u64 {
    rounded_up().saturating_add(secs)
}

/// Whole seconds until a time that has not come: as many as [`in_secs`] was asked for, and 1 at least.
pub(crate) fn secs_until(time: u64) -> u64 {
    time.saturating_sub(rounded_up()).max(1)
}

fn rounded_up() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let elapsed = elapsed.unwrap_or(Duration::ZERO);
    elapsed.as_secs() + u64::from(elapsed.subsec_nanos() > 0)
}
