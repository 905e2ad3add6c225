//! Times as people write them.

use jiff::Timestamp;
use polywire_core::Timetoken;

/// Ticks of a timetoken in a second.
const TICKS: u64 = 10_000_000;
/// What is at least as great is a timetoken: as seconds it would lie 30,000 years ahead.
const TIMETOKENS_FROM: u64 = 1_000_000_000_000;

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time: use a timetoken of 17 digits, seconds since 1970, or a date such as 2026-11-21T09:30:00Z"
)]
pub struct InvalidTime(String);

/// Reads a time: a timetoken, seconds since 1970, or a date and time after RFC 3339.
///
/// # Errors
/// When it is none of them, or lies before 1970.
pub fn timetoken(text: &str) -> Result<Timetoken, InvalidTime> {
    let invalid = || InvalidTime(text.chars().take(64).collect());
    if let Ok(number) = text.parse::<u64>() {
        return Ok(Timetoken(if number >= TIMETOKENS_FROM {
            number
        } else {
            number * TICKS
        }));
    }
    let time: Timestamp = text.parse().map_err(|_| invalid())?;
    let ticks = u64::try_from(time.as_nanosecond() / 100).map_err(|_| invalid())?;
    Ok(Timetoken(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_three_ways() {
        for text in ["17000000000000000", "1700000000", "2023-11-14T22:13:20Z"] {
            assert_eq!(
                timetoken(text),
                Ok(Timetoken(17_000_000_000_000_000)),
                "{text}"
            );
        }
        for text in ["", "-1", "yesterday", "1960-01-01T00:00:00Z", "1.5"] {
            assert!(timetoken(text).is_err(), "{text}");
        }
    }
}
