//! Durations on the command line.

use std::time::Duration;

/// What stands behind a number, with its seconds.
const UNITS: [(&str, f64); 5] = [
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];

/// Reads `2` or `0.5s` (seconds), `250ms`, `30m` (minutes), `24h` or `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let units = UNITS.iter();
    let mut units = units.filter_map(|(unit, secs)| Some((text.strip_suffix(unit)?, *secs)));
    let (number, secs) = units.next().unwrap_or((text, 1.0));
    let secs = number.parse::<f64>().ok().map(|number| number * secs);
    secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
        .ok_or_else(|| {
            "use a number with ms, s, m, h or d behind it, such as 250ms, 2s or 24h".into()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_its_unit() {
        for (text, millis) in [
            ("2", 2000),
            ("0.5", 500),
            ("2s", 2000),
            ("250ms", 250),
            ("1.5m", 90_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "ms", "h", "-1", "NaN", "1y", "1 h", "1e99"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
