//! The life of a session: its client goes, comes back, or does not.

use polywire_core::ClientId;

use super::{absence::Absence, context::SessionContext, state::Session};
use crate::{clock::in_secs, emitter_mode::detect::TopicMode};

impl Session {
    /// The client is away from now on. Its will is published, or waits with it.
    pub(crate) async fn client_left(&mut self, context: &SessionContext) {
        self.subscriber.disconnected();
        self.attachment.disappear();
        self.retained_replay
            .pause(&self.subscriber, &context.broker);
        self.topic_aliases.clear();
        let delay_secs = self.will.as_ref().map(|will| u64::from(will.delay_secs));
        let mut absence = Absence::from_now(self.expiry_secs);
        match delay_secs {
            Some(secs) if secs > 0 => {
                absence.will_at = Some(absence.ends_at.min(in_secs(secs)));
            }
            _ => self.publish_will(context).await,
        }
        self.absence = Some(absence);
    }

    /// The client has come back. A will that waited is not published any more.
    pub(crate) async fn client_returned(&mut self, context: &SessionContext) {
        // Of an earlier connection, which it may have been taken from.
        self.topic_aliases.clear();
        self.retained_replay
            .pause(&self.subscriber, &context.broker);
        self.retained_replay.resume(&self.subscriber);
        let was_here = self.absence.take().is_none();
        if was_here && self.will.as_ref().is_some_and(|will| will.delay_secs == 0) {
            // It was lost, and is here again at once: another connection of it is not there any more.
            self.publish_will(context).await;
        }
        self.will = None;
    }

    /// Leaves everything: another node has the session.
    pub(crate) async fn detach(self, context: &SessionContext) {
        self.leave_groups(context).await;
        self.attachment.disconnect().await;
    }

    async fn leave_groups(&self, context: &SessionContext) {
        let broker = &context.broker;
        for shared in &self.shared_subscriptions {
            let (group, filter) = (&shared.group, &shared.filter);
            let groups = &broker.shared_subscriptions;
            let left = groups.leave(
                &broker.space,
                group,
                filter,
                self.subscriber.publisher().session(),
            );
            left.await;
        }
    }

    /// Ends the session: its will is published, and it leaves everything.
    pub(crate) async fn end(mut self, context: &SessionContext) {
        self.leave_groups(context).await;
        let redeliveries = self.subscriber.take_redeliveries();
        let member = self.group_member_id();
        self.publish_will(context).await;
        if let TopicMode::Emitter(emitter) = self.mode {
            emitter.end().await;
        }
        // It is in no group any more, so that none chooses it again.
        for redelivery in redeliveries {
            let Some(draft) = redelivery.draft(&member) else {
                continue;
            };
            if let Err(error) = context.broker.space.publish_reserved(draft).await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "what a member of a group left stays on this node");
            }
        }
        self.attachment.disconnect().await;
    }

    /// The name that it has in groups.
    fn group_member_id(&self) -> ClientId {
        match &self.mode {
            TopicMode::Emitter(emitter) => emitter.member_id().clone(),
            TopicMode::Plain | TopicMode::Undecided(_) => {
                self.subscriber.publisher().session().clone()
            }
        }
    }
}
