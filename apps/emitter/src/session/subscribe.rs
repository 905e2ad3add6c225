//! SUBSCRIBE: filters of one client, and those that it shares with a group.

use std::sync::Arc;

use polywire_core::{Refusal, RefusalKind, space::Subscribed};
use rmqtt_codec::{
    types::QoS,
    v5::{RetainHandling, SubscribeAckReason},
};

use super::{
    context::SessionContext,
    retained_replay::ReplayRequest,
    state::{Session, SharedSubscription},
};
use crate::{
    broker::shared_subscriptions::GroupMember,
    codec::{
        filter::{Filter, Subscription, SubscriptionOptions, shared},
        incoming::SubscribeRequest,
    },
    delivery::subscriptions::NoRoom,
};

fn reason(refusal: &Refusal) -> SubscribeAckReason {
    match refusal.kind {
        RefusalKind::Forbidden => SubscribeAckReason::NotAuthorized,
        RefusalKind::LimitExceeded => SubscribeAckReason::QuotaExceeded,
        _ => SubscribeAckReason::UnspecifiedError,
    }
}

impl Session {
    /// Subscribes. For which filters retained messages are to be sent is added to `retained`.
    pub(super) async fn subscribe(
        &mut self,
        request: SubscribeRequest,
        context: &SessionContext,
        retained: &mut Vec<ReplayRequest>,
    ) -> Result<QoS, SubscribeAckReason> {
        let mut options = request.options;
        let share = shared(&request.filter)?;
        let written = share.map_or(&*request.filter, |(_, filter)| filter);
        if context.broker.refused_filters.contains(written) {
            return Err(SubscribeAckReason::NotAuthorized);
        }
        let filter = Filter::parse(written)?;
        if let Some((group, _)) = share {
            return Box::pin(self.join_group(group, filter, options, context)).await;
        }
        if self.is_bridge {
            options.no_local = true;
            options.as_published = true;
        }
        // Known before anything can come.
        let known = self.subscriber.subscribe(Subscription {
            filter: filter.clone(),
            options,
            by_server: false,
        });
        let before = known.map_err(|NoRoom| {
            context.broker.subscriptions_full.add();
            SubscribeAckReason::QuotaExceeded
        })?;
        let is_new = before.is_none();
        let joined = filter.clone().subscribe(&mut self.attachment).await;
        let refused = match joined {
            Ok(Subscribed::Joined | Subscribed::Again) => {
                if request.retained == RetainHandling::AtSubscribe
                    || (request.retained == RetainHandling::AtSubscribeNew && is_new)
                {
                    retained.push(ReplayRequest::new(filter, options));
                }
                return Ok(options.qos);
            }
            // The client is to believe that it was done.
            Ok(Subscribed::Dropped) => None,
            Err(refusal) => Some(reason(&refusal)),
        };
        self.subscriber.undo_subscribe(&filter, before);
        refused.map_or(Ok(options.qos), Err)
    }

    /// Shares a subscription. No retained messages are sent to it (MQTT 5.0 section 4.8.2).
    async fn join_group(
        &mut self,
        group: &str,
        filter: Filter,
        options: SubscriptionOptions,
        context: &SessionContext,
    ) -> Result<QoS, SubscribeAckReason> {
        if options.no_local {
            return Err(SubscribeAckReason::ImplementationSpecificError);
        }
        let broker = &context.broker;
        let limit = broker.space.limits().channels_per_connection_max;
        let same = |one: &SharedSubscription| one.group == group && one.filter == filter;
        let known = self.shared_subscriptions.iter().position(same);
        if self.shared_subscriptions.len() >= limit && known.is_none() {
            return Err(SubscribeAckReason::QuotaExceeded);
        }
        broker
            .space
            .authorize(self.attachment.origin(), filter.action())
            .map_err(|refusal| reason(&refusal))?;
        let member = GroupMember {
            subscriber: Arc::downgrade(&self.subscriber),
            options,
        };
        // It ends when these rights do.
        let rests = self.attachment.rest_on_identity();
        rests.map_err(|refusal| reason(&refusal))?;
        let id = self.subscriber.publisher().session();
        let groups = &broker.shared_subscriptions;
        let joined = groups.join(&broker.space, group, &filter, id, member);
        joined.await.map_err(|refusal| reason(&refusal))?;
        match known {
            Some(index) => self.shared_subscriptions[index].options = options,
            None => self.shared_subscriptions.push(SharedSubscription {
                group: group.to_owned(),
                filter,
                options,
            }),
        }
        Ok(options.qos)
    }
}
