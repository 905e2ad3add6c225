//! Continuity: a reader that stopped somewhere goes on there, or hears that it cannot.

use super::{History, HistoryError, Page, Query, Span};
use crate::publication::{Position, Target};

/// What comes after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// The publications after the position, the oldest first.
    pub page: Page,
    /// True when something between the position and the page is missing, or the position is of another epoch:
    /// the reader has to be told of a gap.
    pub gap: bool,
}

/// Reads on after `position`, the last one that a reader has seen of `target`.
///
/// A position that the store does not know, because it is of another epoch or lies ahead, is no error: it
/// gives the whole span that is kept after its time, and a gap.
///
/// # Errors
/// Those of [`History::read`].
pub async fn read_after(
    history: &dyn History,
    target: &Target,
    position: Position,
    limit: usize,
) -> Result<Continuation, HistoryError> {
    let query = Query::new(Span::after(position.timetoken), limit);
    let page = history.read(target, &query).await?;
    let next = match page.entries.first() {
        Some(first) => Some(first.publication.position()),
        // Nothing to read: fine only if nothing was published since. Read after the page, so that what
        // comes in between shows as a gap at worst and is not overlooked.
        None => history.last_position(target).await?,
    };
    let expected = if page.entries.is_empty() {
        position.seq.0
    } else {
        position.seq.0.saturating_add(1)
    };
    let unbroken = next.is_some_and(|next| next.epoch == position.epoch && next.seq.0 == expected);
    Ok(Continuation {
        page,
        gap: !unbroken,
    })
}
