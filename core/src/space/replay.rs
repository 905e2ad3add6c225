//! History, and then what is published from now on, without a seam.

use std::{fmt, sync::Arc};

use super::Space;
use crate::{
    channel::Channel,
    delivery::GatedReceiver,
    persistence::{HistoryError, Page, Query, Span},
    publication::{Publication, Target, Timetoken},
};

/// A subscription that is given history first: what is published meanwhile is held back, so that nothing is
/// missed and nothing comes twice.
///
/// Read [`next_page`](Self::next_page) until it is `None`, and do with each page what the protocol wants, for
/// example [`deliver`](Self::deliver) it like live publications. The last page lets live publications through, in the
/// order of the channel. Dropping a replay before its end lets through what is held, without the rest of the
/// history.
///
/// What is held has a bound of 4 MiB; when more comes, it is read from history instead.
pub struct Replay {
    space: Arc<Space>,
    target: Target,
    gated: Arc<GatedReceiver>,
    query: Option<Query>,
    read: Timetoken,
}

impl Replay {
    pub(super) fn new(
        space: Arc<Space>,
        channel: Channel,
        gated: Arc<GatedReceiver>,
        query: Query,
    ) -> Self {
        Self {
            space,
            target: channel.into(),
            gated,
            query: Some(query),
            read: Timetoken(query.span.from.0.saturating_sub(1)),
        }
    }

    /// The next part of the history, the oldest first; `None` when all was read and live publications go through.
    ///
    /// # Errors
    /// When history cannot be read. Live publications go through then.
    ///
    /// # Cancel safety
    /// A page whose future is dropped is read again by the next call.
    pub async fn next_page(&mut self) -> Result<Option<Page>, HistoryError> {
        loop {
            let Some(query) = self.query else {
                return Ok(None);
            };
            let page = match self.space.history() {
                Some(history) => history.read(&self.target, &query).await,
                None => Ok(Page::default()),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    self.release();
                    return Err(error);
                }
            };
            if let Some(last) = page.entries.last() {
                self.read = last.publication.position().timetoken;
                self.query = Some(Query {
                    span: Span::after(self.read),
                    ..query
                });
                return Ok(Some(page));
            }
            if self.gated.open(self.read, self.space.hub().flusher()) {
                self.query = None;
                return Ok(None);
            }
        }
    }

    /// The channel space.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Delivers a publication of the history as if it came live.
    pub fn deliver(&self, publication: &Publication) {
        self.gated.pass(publication, self.space.hub().flusher());
    }

    fn release(&mut self) {
        if self.query.take().is_some() {
            // What was too much to be held is given up with the rest of the history.
            while !self.gated.open(self.read, self.space.hub().flusher()) {}
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("target", &self.target)
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}
