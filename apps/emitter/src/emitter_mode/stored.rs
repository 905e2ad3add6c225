//! Stored messages of the channels that a path stands for.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use polywire_core::{
    Channel, History, HistoryError, Kind, Publication, Query, Span, Target, Timetoken,
};

use super::{interest::pattern, topic::Options};

/// Messages of one answer, at most.
pub(crate) const MESSAGES_MAX: usize = 1000;
/// Bytes of one answer; what is older is left out.
const BYTES_MAX: usize = 64 << 10;
/// Stored channels that are looked at for one answer, at most.
const CHANNELS_MAX: usize = 10_000;
/// Channels whose names are read at a time.
const PAGE: usize = 500;

/// Times before 2018 and after 2066 count as if they were not there.
const TIMES: std::ops::Range<u64> = 1_514_764_800..3_029_529_600;
const UNITS_PER_SEC: u64 = 10_000_000;

/// The time that options ask for, both ends included.
pub(crate) fn span(options: &Options) -> Span {
    let known = |time: Option<u64>| time.filter(|time| TIMES.contains(time));
    let mut span = Span::ALL;
    if let Some(from) = known(options.from) {
        span.from = Timetoken(from * UNITS_PER_SEC);
    }
    if let Some(until) = known(options.until) {
        span.to = Timetoken((until + 1) * UNITS_PER_SEC - 1);
    }
    span
}

/// A message, the oldest of several first.
struct ByAge(Arc<Publication>);

impl ByAge {
    fn key(&self) -> Timetoken {
        self.0.position().timetoken
    }
}

impl PartialEq for ByAge {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ByAge {}

impl PartialOrd for ByAge {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByAge {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The newest `count` messages within a span of the channels that a path stands for: those below it, and those that
/// its wildcards match. The oldest first.
pub(crate) async fn newest(
    history: &dyn History,
    path: &str,
    span: Span,
    count: usize,
) -> Result<Vec<Arc<Publication>>, HistoryError> {
    let count = count.min(MESSAGES_MAX);
    if count == 0 || span.is_empty() {
        return Ok(Vec::new());
    }
    // The newest of all channels that were read so far; the oldest of them on top.
    let mut kept = BinaryHeap::new();
    for target in channels(history, path).await? {
        let mut query = Query::new(span, count).newest_first();
        if kept.len() == count
            && let Some(Reverse(ByAge(oldest))) = kept.peek()
        {
            query.span = query.span.and(Span::after(oldest.position().timetoken));
        }
        for stored in history.read(&target, &query).await?.entries {
            if matches!(stored.publication.kind, Kind::Message) {
                kept.push(Reverse(ByAge(stored.publication)));
            }
        }
        while kept.len() > count {
            kept.pop();
        }
    }
    let mut messages: Vec<_> = kept.into_iter().map(|Reverse(ByAge(one))| one).collect();
    messages.sort_unstable_by_key(|one| Reverse(one.position().timetoken));
    let mut bytes = 0;
    let within = |one: &Arc<Publication>| {
        let name = one.target.channel().map_or(0, |name| name.as_str().len());
        bytes += one.payload.len() + name;
        bytes <= BYTES_MAX
    };
    messages.truncate(messages.iter().map(within).take_while(|fits| *fits).count());
    messages.reverse();
    Ok(messages)
}

/// The stored channels that a path stands for.
async fn channels(history: &dyn History, path: &str) -> Result<Vec<Target>, HistoryError> {
    let Some(pattern) = pattern(path) else {
        return Ok(Vec::new());
    };
    // Names are in order: those that begin with the levels before the first wildcard stand together.
    let fixed = path.split('/').take_while(|level| *level != "+");
    let fixed = fixed.collect::<Vec<_>>().join("/");
    let mut found = Vec::new();
    let mut after = None;
    if let Ok(channel) = Channel::new(&fixed) {
        if fixed == path {
            found.push(Target::Channel(channel.clone()));
        }
        after = Some(Target::Channel(channel));
    }
    for _ in 0..CHANNELS_MAX / PAGE {
        let page = history.targets(after.as_ref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        let mut is_past = false;
        for target in &page {
            let Some(name) = target.channel().map(Channel::as_str) else {
                // Clients stand behind all channels.
                is_past = true;
                break;
            };
            if !name.starts_with(&fixed) {
                is_past = true;
                break;
            }
            if pattern.matches(name) && name != path {
                found.push(target.clone());
            }
        }
        if is_last || is_past {
            break;
        }
        after = page.into_iter().next_back();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_be_meant_are_as_if_not_there() {
        let options = |from, until| {
            let mut options = Options::default();
            (options.from, options.until) = (from, until);
            options
        };
        assert_eq!(span(&options(Some(5), Some(u64::MAX))), Span::ALL);
        let exact = span(&options(Some(1_600_000_000), Some(1_600_000_000)));
        assert_eq!(exact.from, Timetoken(16_000_000_000_000_000));
        assert_eq!(exact.to, Timetoken(16_000_000_009_999_999));
    }
}
