//! Durations on the command line.

use std::time::Duration;

/// Reads `2`, `0.5`, `2s` (seconds) or `250ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, per_second) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1000.0),
        (None, Some(number)) => (number, 1.0),
        (None, None) => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|n| n / per_second);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "use seconds, such as 2 or 0.5s, or milliseconds, such as 250ms".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds() {
        for (text, millis) in [("2", 2000), ("0.5", 500), ("2s", 2000), ("250ms", 250)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "ms", "-1", "NaN", "1h", "1e99"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
