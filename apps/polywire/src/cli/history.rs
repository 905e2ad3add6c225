//! Flags of `polywire history`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{ArgGroup, Args};
use http::{HeaderName, HeaderValue};
use polywire_core::Timetoken;

use super::{ServerFlags, server::header};

/// What to read, and how to show it.
#[derive(Debug, Clone, Args)]
#[non_exhaustive]
#[command(group = ArgGroup::new("from").args(["last", "since"]))]
#[command(after_help = "\
Examples:
  polywire history news --last 20
  polywire history news --since 10m --follow
  polywire history news --since 2026-11-21T09:30:00Z --json | jq .data

Exit codes: 0 printed (or stopped with Ctrl-C), 1 no server, refused, or broken off, 2 wrong usage.")]
pub struct HistoryFlags {
    /// The channel
    #[arg(value_name = "CHANNEL")]
    pub channel: String,

    /// The last N messages [default: 10]
    #[arg(long, value_name = "N")]
    pub last: Option<u64>,

    /// Everything since then: so long ago (90s, 10m, 2h, 7d), a date such as 2026-11-21T09:30:00Z, or a
    /// timetoken
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timetoken>,

    /// Go on with what is published from now on, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,

    /// Print only the message: a text as it is, everything else as JSON
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,

    /// Print the lines of the server, one JSON object each
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub server: ServerFlags,

    /// A header to show of oneself, where the server asks for one; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(HeaderName, HeaderValue)>,

    /// What to show of oneself, as a query string such as api_key=secret, where the server asks for it
    #[arg(long, value_name = "QUERY")]
    pub query: Option<String>,
}

/// A time, or so long ago.
fn since(text: &str) -> Result<Timetoken, String> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let ago = UNITS.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    let Some(ago) = ago else {
        return polywire_history::timetoken(text).map_err(|_| {
            "use 90s, 10m, 2h or 7d, a date such as 2026-11-21T09:30:00Z, or a timetoken".into()
        });
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = now
        .unwrap_or_default()
        .saturating_sub(Duration::from_secs(ago));
    Ok(Timetoken(
        u64::try_from(since.as_nanos() / 100).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_so_long_ago() {
        let now = since("0s").unwrap();
        let hour = since("1h").unwrap();
        assert!((35_990_000_000..=36_000_000_000).contains(&(now.0 - hour.0)));
        assert_eq!(since("1700000000"), Ok(Timetoken(17_000_000_000_000_000)));
        assert_eq!(since("99999999999999d"), Ok(Timetoken(0)));
        for text in ["", "s", "-1s", "1w", "soon", "99999999999999999999s"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
