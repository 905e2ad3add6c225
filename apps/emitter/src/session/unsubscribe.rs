//! UNSUBSCRIBE: ends subscriptions, also shared ones.

use super::{context::SessionContext, state::Session};
use crate::codec::filter::{Filter, shared};

impl Session {
    /// True when there was such a subscription.
    pub(super) async fn unsubscribe(&mut self, filter: &str, context: &SessionContext) -> bool {
        let Ok(share) = shared(filter) else {
            return false;
        };
        let Ok(filter) = Filter::parse(share.map_or(filter, |(_, filter)| filter)) else {
            return false;
        };
        if let Some((group, _)) = share {
            return self.leave_group(group, &filter, context).await;
        }
        let left = match filter.clone() {
            Filter::Channel(channel) => self.attachment.unsubscribe(channel).await,
            Filter::Pattern(written, pattern) => {
                self.attachment.unsubscribe_pattern(written, &pattern).await
            }
        };
        let left = left.unwrap_or(false);
        if left {
            self.subscriber.unsubscribe(&filter);
            self.retained_replay.forget(&filter);
        }
        left
    }

    async fn leave_group(
        &mut self,
        group: &str,
        filter: &Filter,
        context: &SessionContext,
    ) -> bool {
        let before = self.shared_subscriptions.len();
        self.shared_subscriptions
            .retain(|shared| shared.group != group || shared.filter != *filter);
        let (broker, id) = (&context.broker, self.subscriber.publisher().session());
        let groups = &broker.shared_subscriptions;
        groups.leave(&broker.space, group, filter, id).await;
        self.shared_subscriptions.len() < before
    }
}
