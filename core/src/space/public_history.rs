//! History without the channels that apps use among themselves.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    backend::PubSubBackend,
    persistence::{Annotation, History, HistoryError, Page, PersistencePolicy, Query, Span},
    publication::{Position, Target, Timetoken},
};

/// The history of a space without the channels that apps use among themselves: whoever may read everything
/// may not read those.
pub(super) struct PublicHistory {
    pub(super) backend: Arc<dyn PubSubBackend>,
    pub(super) persistence: Arc<dyn PersistencePolicy>,
}

impl PublicHistory {
    /// Everything that is kept.
    pub(super) fn all(&self) -> Option<&dyn History> {
        self.backend
            .history()
            .or_else(|| self.persistence.history())
    }

    fn of(&self, target: &Target) -> Result<&dyn History, HistoryError> {
        let is_visible = !target.is_reserved();
        self.all()
            .filter(|_| is_visible)
            .ok_or(HistoryError::NotKept)
    }
}

#[async_trait]
impl History for PublicHistory {
    async fn last_position(&self, target: &Target) -> Result<Option<Position>, HistoryError> {
        self.of(target)?.last_position(target).await
    }

    async fn last_timetoken(&self) -> Result<Timetoken, HistoryError> {
        let all = self.all().ok_or(HistoryError::NotKept)?;
        all.last_timetoken().await
    }

    async fn read(&self, target: &Target, query: &Query) -> Result<Page, HistoryError> {
        self.of(target)?.read(target, query).await
    }

    async fn count(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        self.of(target)?.count(target, span).await
    }

    async fn delete(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        self.of(target)?.delete(target, span).await
    }

    async fn targets(
        &self,
        after: Option<&Target>,
        limit: usize,
    ) -> Result<Vec<Target>, HistoryError> {
        let all = self.all().ok_or(HistoryError::NotKept)?;
        let (mut found, mut after) = (Vec::new(), after.cloned());
        while found.len() < limit {
            let wanted = limit - found.len();
            let more = all.targets(after.as_ref(), wanted).await?;
            let is_last = more.len() < wanted;
            after = more.last().cloned();
            found.extend(more.into_iter().filter(|target| !target.is_reserved()));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn annotate(
        &self,
        target: &Target,
        publication: Timetoken,
        annotation: Annotation,
    ) -> Result<(), HistoryError> {
        let history = self.of(target)?;
        history.annotate(target, publication, annotation).await
    }

    async fn remove_annotation(
        &self,
        target: &Target,
        publication: Timetoken,
        at: Timetoken,
    ) -> Result<Option<Annotation>, HistoryError> {
        let history = self.of(target)?;
        history.remove_annotation(target, publication, at).await
    }

    async fn annotations(
        &self,
        target: &Target,
        attached: Span,
        limit: usize,
    ) -> Result<Vec<(Timetoken, Annotation)>, HistoryError> {
        let history = self.of(target)?;
        history.annotations(target, attached, limit).await
    }
}
