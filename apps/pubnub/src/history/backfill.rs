//! Backfill: messages that a poll asks for and that are not in the streams any more, from the store.

use std::sync::Arc;

use polywire_core::{Channel, History, HistoryError, Kind, Query, Space, Span, Target, Timetoken};

use crate::{
    names::above as level_of,
    stream::{Entry, Gap, GapScope, MESSAGES_MAX},
};

/// Messages that are found: one more than fit into an answer, which shows that there are more.
const FOUND_MAX: usize = MESSAGES_MAX + 1;

/// Channels that are listed at once.
const LISTED: usize = 1000;

/// Messages with the index of the name that they were found by.
type Found = Vec<(Arc<Entry>, usize)>;

/// The oldest messages of the store that lie in the gaps; none where none are kept.
pub(crate) async fn backfill(space: &Space, after: u64, gaps: &[Gap]) -> Found {
    let Some(store) = space.history() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for gap in gaps {
        let read = match &gap.scope {
            GapScope::Channel(channel) => read(store, channel, after, gap.index, &mut found).await,
            GapScope::Below(above) => read_below(store, above, after, gap.index, &mut found).await,
        };
        if let Err(error) = read {
            // What is in the streams is better than nothing.
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "history could not be read for a poll");
        }
    }
    found
}

/// Adds the messages of a channel. Of all that were found only the oldest stay.
async fn read(
    store: &dyn History,
    channel: &Channel,
    after: u64,
    index: usize,
    found: &mut Found,
) -> Result<(), HistoryError> {
    let query = Query::new(Span::after(Timetoken(after)), FOUND_MAX);
    let mut next = Some(query);
    let mut left = FOUND_MAX;
    while let Some(query) = next.filter(|_| left > 0) {
        let page = store.read(&channel.clone().into(), &query).await?;
        for stored in &page.entries {
            if stored.publication.kind == Kind::Message {
                let entry = Entry::stored(channel, &stored.publication);
                found.push((Arc::new(entry), index));
                left = left.saturating_sub(1);
            }
        }
        next = page.rest(&query);
    }
    found.sort_unstable_by_key(|(entry, index)| (entry.order, *index));
    found.dedup_by_key(|(entry, _)| entry.order);
    found.truncate(FOUND_MAX);
    Ok(())
}

/// Adds the messages of all channels right below a level.
async fn read_below(
    store: &dyn History,
    above: &str,
    after: u64,
    index: usize,
    found: &mut Found,
) -> Result<(), HistoryError> {
    let prefix = format!("{above}.");
    let mut last = Channel::new(&prefix).ok().map(Target::from);
    loop {
        let targets = store.targets(last.as_ref(), LISTED).await?;
        for target in &targets {
            let Some(channel) = target.channel() else {
                continue;
            };
            if !channel.as_str().starts_with(&prefix) {
                return Ok(());
            }
            if level_of(channel) == Some(above) {
                read(store, channel, after, index, found).await?;
            }
        }
        if targets.len() < LISTED {
            return Ok(());
        }
        last = targets.into_iter().last();
    }
}
