//! Different policies for different channels.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::future::join_all;
use polywire_core::{
    Annotation, Durability, History, HistoryError, Page, Pattern, PersistResult, PersistenceError,
    PersistencePolicy, Position, Publication, Query, Span, Target, Timetoken,
};

/// One policy for the channels of a pattern, another for the rest.
///
/// The first pattern that matches a channel decides; private messages of clients go to the policy for the
/// rest. A policy sees only what is its own.
///
/// # Examples
/// ```
/// use polywire_core::{Pattern, Rules};
/// use polywire_persistence::{MemoryHistory, Namespaced, NoPersistence};
///
/// let chats = MemoryHistory::new(Rules::default(), 64 << 20);
/// let policy = Namespaced::new(NoPersistence).with(Pattern::mqtt("chat/#").unwrap(), chats);
/// ```
pub struct Namespaced {
    special: Vec<(Pattern, Arc<dyn PersistencePolicy>)>,
    rest: Arc<dyn PersistencePolicy>,
}

impl Namespaced {
    /// This policy for everything.
    pub fn new(rest: impl PersistencePolicy) -> Self {
        Self {
            special: Vec::new(),
            rest: Arc::new(rest),
        }
    }

    /// Another policy for the channels of a pattern, after those that are there.
    #[must_use]
    pub fn with(mut self, pattern: Pattern, policy: impl PersistencePolicy) -> Self {
        self.special.push((pattern, Arc::new(policy)));
        self
    }

    /// The place of the policy that decides.
    fn place(&self, target: &Target) -> usize {
        let special = || {
            let name = target.channel()?.as_str();
            self.special
                .iter()
                .position(|(pattern, _)| pattern.matches(name))
        };
        special().unwrap_or(self.special.len())
    }

    fn policies(&self) -> impl Iterator<Item = &Arc<dyn PersistencePolicy>> {
        let special = self.special.iter().map(|(_, policy)| policy);
        special.chain([&self.rest])
    }

    fn of(&self, target: &Target) -> &dyn PersistencePolicy {
        let place = self.place(target);
        self.special
            .get(place)
            .map_or(&*self.rest, |(_, policy)| &**policy)
    }

    fn history_of(&self, target: &Target) -> Result<&dyn History, HistoryError> {
        self.of(target).history().ok_or(HistoryError::NotKept)
    }
}

#[async_trait]
impl PersistencePolicy for Namespaced {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        let policy = self.of(&publication.target);
        if !policy.stores() {
            return Ok(Durability::Delivered);
        }
        policy.persist(publication).await
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        let places: Vec<_> = batch.iter().map(|p| self.place(&p.target)).collect();
        let parts = self.policies().enumerate().map(|(place, policy)| {
            let part: Vec<_> = (0..batch.len()).filter(|n| places[*n] == place).collect();
            async move {
                let publications: Vec<_> = part.iter().map(|n| batch[*n].clone()).collect();
                let kept = if publications.is_empty() {
                    Vec::new()
                } else if policy.stores() {
                    policy.persist_all(&publications).await
                } else {
                    vec![Ok(Durability::Delivered); part.len()]
                };
                part.into_iter().zip(kept).collect::<Vec<_>>()
            }
        });
        let mut kept = vec![Err(PersistenceError::Closed); batch.len()];
        for (n, answer) in join_all(parts).await.into_iter().flatten() {
            kept[n] = answer;
        }
        kept
    }

    fn waits(&self, target: &Target) -> bool {
        let policy = self.of(target);
        policy.stores() && policy.waits(target)
    }

    fn persist_now(&self, publication: &Arc<Publication>) -> PersistResult {
        let policy = self.of(&publication.target);
        if !policy.stores() {
            return Ok(Durability::Delivered);
        }
        policy.persist_now(publication)
    }

    fn stores(&self) -> bool {
        self.policies().any(|policy| policy.stores())
    }

    fn refuses(&self) -> bool {
        self.policies().any(|policy| policy.refuses())
    }

    fn history(&self) -> Option<&dyn History> {
        let any = self.policies().any(|policy| policy.history().is_some());
        any.then_some(self)
    }

    async fn stop(&self) {
        join_all(self.policies().map(|policy| policy.stop())).await;
    }
}

#[async_trait]
impl History for Namespaced {
    async fn last_position(&self, target: &Target) -> Result<Option<Position>, HistoryError> {
        self.history_of(target)?.last_position(target).await
    }

    async fn last_timetoken(&self) -> Result<Timetoken, HistoryError> {
        let mut last = Timetoken(0);
        for history in self.policies().filter_map(|policy| policy.history()) {
            last = last.max(history.last_timetoken().await?);
        }
        Ok(last)
    }

    async fn read(&self, target: &Target, query: &Query) -> Result<Page, HistoryError> {
        self.history_of(target)?.read(target, query).await
    }

    async fn count(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        self.history_of(target)?.count(target, span).await
    }

    async fn delete(&self, target: &Target, span: Span) -> Result<u64, HistoryError> {
        self.history_of(target)?.delete(target, span).await
    }

    async fn targets(
        &self,
        after: Option<&Target>,
        limit: usize,
    ) -> Result<Vec<Target>, HistoryError> {
        let mut targets = Vec::new();
        for (place, policy) in self.policies().enumerate() {
            let Some(history) = policy.history() else {
                continue;
            };
            // What a policy holds for channels that are not its own any more is not shown.
            let (mut after, mut found) = (after.cloned(), 0);
            while found < limit {
                let more = history.targets(after.as_ref(), limit).await?;
                let Some(last) = more.last() else { break };
                after = Some(last.clone());
                let own = more.into_iter().filter(|t| self.place(t) == place);
                let before = targets.len();
                targets.extend(own);
                found += targets.len() - before;
            }
        }
        targets.sort_unstable();
        targets.truncate(limit);
        Ok(targets)
    }

    async fn annotate(
        &self,
        target: &Target,
        publication: Timetoken,
        annotation: Annotation,
    ) -> Result<(), HistoryError> {
        let history = self.history_of(target)?;
        history.annotate(target, publication, annotation).await
    }

    async fn remove_annotation(
        &self,
        target: &Target,
        publication: Timetoken,
        at: Timetoken,
    ) -> Result<Option<Annotation>, HistoryError> {
        let history = self.history_of(target)?;
        history.remove_annotation(target, publication, at).await
    }

    async fn annotations(
        &self,
        target: &Target,
        attached: Span,
        limit: usize,
    ) -> Result<Vec<(Timetoken, Annotation)>, HistoryError> {
        let history = self.history_of(target)?;
        history.annotations(target, attached, limit).await
    }
}

impl fmt::Debug for Namespaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<_> = self.special.iter().map(|(pattern, _)| pattern).collect();
        f.debug_struct("Namespaced")
            .field("patterns", &patterns)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::{
        Channel, Draft, Payload, Rules, Seq,
        testkit::{self, RecordingPolicy},
    };

    use super::*;
    use crate::{MemoryHistory, NoPersistence};

    fn memory() -> MemoryHistory {
        MemoryHistory::new(Rules::default(), usize::MAX)
    }

    fn pattern(filter: &str) -> Pattern {
        Pattern::mqtt(filter).unwrap()
    }

    fn publication(channel: &str, n: u64) -> Arc<Publication> {
        let draft = Draft::new(Channel::new(channel).unwrap(), Payload::text("hello"));
        Arc::new(draft.at(Position {
            seq: Seq(n),
            timetoken: Timetoken(n),
            ..Position::default()
        }))
    }

    #[tokio::test]
    async fn the_first_pattern_that_matches_decides() {
        let (first, second) = (Arc::new(RecordingPolicy::default()), Arc::new(memory()));
        let policy = Namespaced::new(NoPersistence)
            .with(pattern("a/x"), first.clone())
            .with(pattern("a/#"), second.clone());
        let batch = [
            publication("a/x", 1),
            publication("a/y", 2),
            publication("b", 3),
            publication("a/x", 4),
        ];
        assert!(policy.waits(&batch[0].target) && !policy.waits(&batch[1].target));
        let kept: Vec<_> = policy
            .persist_all(&batch)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let (memory, nowhere) = (Durability::Memory, Durability::Delivered);
        assert_eq!(kept, [memory, memory, nowhere, memory]);
        assert_eq!(first.publications().len(), 2);
        let history = policy.history().unwrap();
        let target = &batch[1].target;
        assert_eq!(history.count(target, Span::ALL).await.unwrap(), 1);
        for target in [&batch[0].target, &batch[2].target] {
            let read = history.read(target, &Query::last(1)).await;
            assert!(matches!(read, Err(HistoryError::NotKept)));
        }
        let targets = history.targets(None, 9).await.unwrap();
        assert_eq!(targets, std::slice::from_ref(target));
    }

    #[tokio::test]
    async fn keeps_the_laws() {
        let policy = || Namespaced::new(memory()).with(pattern("testkit-model-1"), memory());
        testkit::persistence_laws(policy).await;
        testkit::history_laws(async || policy()).await;
    }
}
