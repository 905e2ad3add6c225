//! The contract of a store that can be read back.

use async_trait::async_trait;

use super::{Annotation, HistoryError, Page, Query, Span};
use crate::publication::{Position, Target, Timetoken};

/// The publications that a policy keeps, to be read again.
///
/// # Laws
/// - What [`persist`](super::PersistencePolicy::persist) accepted with [`Durability::Memory`](super::Durability)
///   or more is read back, as it was, from then on, until a limit of the store, its own time to live, or a
///   deletion takes it away. What is read is of the channel that was asked for.
/// - Publications are in the order of their timetokens, which is that of their numbers.
/// - [`last_position`](Self::last_position) outlives what is taken away, for as long as the store knows the channel: its epoch and
///   number are those that the next publication continues.
/// - A page has at most as many publications as were asked for, and at most [`Page::BYTES_MAX`] bytes of them, but one
///   at least where there is one. A limit of 0 reads nothing.
/// - Annotations live and go with their publication.
/// - Futures may be dropped at any await; a change dropped so took place or did not, never half.
///
/// [`testkit::history_laws`](crate::testkit) checks an implementation.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// The place of the last publication that was ever stored there; `None` when the store does not know the
    /// channel, so that the next one begins a new epoch.
    async fn last_position(&self, target: &Target) -> Result<Option<Position>, HistoryError>;

    /// The latest timetoken of the whole store. The clock of the node goes on from there.
    async fn last_timetoken(&self) -> Result<Timetoken, HistoryError>;

    /// Reads a page.
    async fn read(&self, target: &Target, query: &Query) -> Result<Page, HistoryError>;

    /// How many publications the span has.
    async fn count(&self, target: &Target, span: Span) -> Result<u64, HistoryError>;

    /// Deletes the publications of the span, and says how many. Numbers go on as if nothing was deleted.
    async fn delete(&self, target: &Target, span: Span) -> Result<u64, HistoryError>;

    /// The channels and clients that have something stored, sorted as [`Target`] is, beginning after `after`; `limit`
    /// at most.
    async fn targets(
        &self,
        after: Option<&Target>,
        limit: usize,
    ) -> Result<Vec<Target>, HistoryError>;

    /// Attaches an annotation to the publication with this timetoken.
    ///
    /// # Errors
    /// [`HistoryError::NotFound`], [`HistoryError::Exists`] when it says the same as one that is there,
    /// [`HistoryError::Full`].
    async fn annotate(
        &self,
        target: &Target,
        publication: Timetoken,
        annotation: Annotation,
    ) -> Result<(), HistoryError>;

    /// Takes away the annotation that was attached at `at`; returns it, where there was one.
    async fn remove_annotation(
        &self,
        target: &Target,
        publication: Timetoken,
        at: Timetoken,
    ) -> Result<Option<Annotation>, HistoryError>;

    /// The annotations that were attached within a span of time, with the timetokens of their publications,
    /// the newest first; `limit` at most.
    async fn annotations(
        &self,
        target: &Target,
        attached: Span,
        limit: usize,
    ) -> Result<Vec<(Timetoken, Annotation)>, HistoryError>;
}

const _: fn(&dyn History) = |_| ();
