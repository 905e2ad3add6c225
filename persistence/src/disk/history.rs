//! The reading side of the policy: history on disk.

use async_trait::async_trait;
use polywire_core::{
    Annotation, History, HistoryError, Page, Position, Query, Span, Target, Timetoken,
};

use super::{
    policy::DiskHistory,
    writer::{Job, Wish},
};

#[async_trait]
impl History for DiskHistory {
    async fn last_position(&self, target: &Target) -> Result<Option<Position>, HistoryError> {
        Ok(self.store.last_position(target))
    }

    async fn last_timetoken(&self) -> Result<Timetoken, HistoryError> {
        Ok(self.store.last_timetoken())
    }

    async fn read(&self, target: &Target, query: &Query) -> Result<Page, HistoryError> {
        let (store, target, query) = (self.store.clone(), target.clone(), *query);
        // The disk may take its time.
        let reading = tokio::task::spawn_blocking(move || store.read(&target, &query));
        reading.await.map_err(HistoryError::store)?
    }

    async fn count(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        Ok(self.store.count(target, span))
    }

    async fn delete(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        self.change(|answer| Job::Delete(target.clone(), span, answer))
            .await
    }

    async fn targets(
        &self,
        after: Option<&Target>,
        limit: usize,
    ) -> Result<Vec<Target>, HistoryError> {
        Ok(self.store.targets(after, limit))
    }

    async fn annotate(
        &self,
        target: &Target,
        publication: Timetoken,
        annotation: Annotation,
    ) -> Result<(), HistoryError> {
        self.change(|answer| {
            Job::Annotate(Wish {
                target: target.clone(),
                publication,
                annotation,
                answer,
            })
        })
        .await
    }

    async fn remove_annotation(
        &self,
        target: &Target,
        publication: Timetoken,
        at: Timetoken,
    ) -> Result<Option<Annotation>, HistoryError> {
        self.change(|answer| Job::Remove(target.clone(), publication, at, answer))
            .await
    }

    async fn annotations(
        &self,
        target: &Target,
        attached: Span,
        limit: usize,
    ) -> Result<Vec<(Timetoken, Annotation)>, HistoryError> {
        Ok(self.store.annotations(target, attached, limit))
    }
}
