//! The query of a request: what it asks for.

use polywire_core::Timetoken;

use crate::time::timetoken;

/// Publications of an answer, when the request does not say how many.
const LIMIT: u64 = 100;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) from: From,
    /// How many at most; a request that follows has no limit.
    pub(crate) limit: u64,
    pub(crate) follow: bool,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// With the last so many.
    Last(u64),
    /// With the first that is not earlier.
    Since(Timetoken),
}

impl Wanted {
    /// Reads a query string.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let (mut from, mut limit, mut follow) = (None, None, false);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| format!("The value of {name} is not UTF-8."))?;
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| format!("{name} must be a whole number, not {value:?}."))
            };
            match name {
                "last" | "since" if from.is_some() => {
                    return Err("Use last or since, once.".into());
                }
                "last" => from = Some(From::Last(number()?)),
                "since" => {
                    let since = timetoken(&value).map_err(|error| format!("since: {error}."))?;
                    from = Some(From::Since(since));
                }
                "limit" => limit = Some(number()?),
                "follow" => {
                    follow = match &*value {
                        "" | "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err("follow must be true or false.".into()),
                    }
                }
                // Others are for the authentication policy.
                _ => {}
            }
        }
        if follow && limit.is_some() {
            return Err("What follows has no limit: leave one of follow and limit out.".into());
        }
        let from = from.unwrap_or(From::Last(LIMIT));
        let limit = match (limit, from) {
            _ if follow => u64::MAX,
            (Some(limit), _) => limit,
            (None, From::Last(last)) => last,
            (None, From::Since(_)) => LIMIT,
        };
        Ok(Self {
            from,
            limit,
            follow,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let wanted = |from, limit, follow| {
            Ok(Wanted {
                from,
                limit,
                follow,
            })
        };
        let since = From::Since(Timetoken(17_000_000_000_000_000));
        assert_eq!(Wanted::parse(""), wanted(From::Last(100), 100, false));
        assert_eq!(
            Wanted::parse("last=7&api_key=x"),
            wanted(From::Last(7), 7, false)
        );
        assert_eq!(
            Wanted::parse("since=1700000000&limit=3"),
            wanted(since, 3, false)
        );
        assert_eq!(
            Wanted::parse("since=2023-11-14T22%3A13%3A20Z&follow"),
            wanted(since, u64::MAX, true)
        );
        for bad in [
            "last=-1",
            "last=99999999999999999999",
            "since=soon",
            "last=1&since=2",
            "follow=maybe",
            "follow=1&limit=2",
            "since=%ff",
        ] {
            assert!(Wanted::parse(bad).is_err(), "{bad}");
        }
    }
}
