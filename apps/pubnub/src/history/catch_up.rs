//! What a poll asks for and is not in the queues any more.

use std::sync::Arc;

use polywire_core::{Kind, Query, Space, Span, Timetoken};

use crate::stream::{Entry, Gap, MESSAGES_MAX};

/// Channels whose history one poll reads.
const CHANNELS_MAX: usize = 100;

/// The messages of the store that lie in the gaps, the oldest of each channel; none where none are kept.
pub(crate) async fn older(space: &Space, after: u64, gaps: &[Gap]) -> Vec<(Arc<Entry>, usize)> {
    let Some(store) = space.history() else {
        return Vec::new();
    };
    let query = Query::new(Span::after(Timetoken(after)), MESSAGES_MAX);
    let mut found = Vec::new();
    for gap in gaps.iter().take(CHANNELS_MAX) {
        let page = match store.read(&gap.channel.clone().into(), &query).await {
            Ok(page) => page,
            Err(error) => {
                // What is in the queues is better than nothing.
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "history could not be read for a poll");
                continue;
            }
        };
        for stored in page.entries {
            if stored.publication.kind == Kind::Message {
                let entry = Entry::stored(&gap.channel, &stored.publication);
                found.push((Arc::new(entry), gap.index));
            }
        }
    }
    found
}
