//! SUBSCRIBE and UNSUBSCRIBE of a client that speaks the Emitter protocol; stored messages come first.

use std::{num::NonZeroU16, sync::Arc};

use polywire_core::space::{Action, Attachment, MemberOwner};
use rmqtt_codec::{types::QoS, v5::SubscribeAckReason};

use super::{
    fault::Fault,
    interest::{Interest, filter, pattern, written},
    session::EmitterSession,
    stored,
    topic::{BadTopic, Options, Topic},
};
use crate::{
    broker::shared_subscriptions::GroupMember,
    codec::{
        filter::{Filter, Subscription, SubscriptionOptions},
        incoming::SubscribeRequest,
        outgoing::SUBSCRIPTIONS_FULL,
    },
    delivery::subscriptions::NoRoom,
};

impl EmitterSession {
    /// Subscribes; what is wrong is said twice, in the answer and as a message.
    pub(crate) async fn subscribe(
        &mut self,
        id: Option<NonZeroU16>,
        asked: &SubscribeRequest,
        attachment: &mut Attachment,
    ) -> Result<QoS, SubscribeAckReason> {
        let subscribed = match Topic::parse(&asked.filter) {
            Ok(topic) => self.join(&topic, asked, attachment, true).await,
            Err(bad) => Err(bad.into()),
        };
        subscribed.map(|()| asked.options.qos).map_err(|fault| {
            self.fail(&fault, id);
            match fault.status {
                400 => SubscribeAckReason::TopicFilterInvalid,
                401 => SubscribeAckReason::NotAuthorized,
                _ => SubscribeAckReason::UnspecifiedError,
            }
        })
    }

    /// Joins what a topic stands for; with `replays`, stored messages come first.
    pub(super) async fn join(
        &mut self,
        topic: &Topic<'_>,
        asked: &SubscribeRequest,
        attachment: &mut Attachment,
        replays: bool,
    ) -> Result<(), Fault> {
        let path = topic.path.as_str();
        self.show(topic.key, topic.group, attachment);
        let (Some(written), Some(pattern), Some(interest)) =
            (written(path), pattern(path), Interest::of(path))
        else {
            return Err(Fault::bad("The channel is not one."));
        };
        let refused = &self.context.broker.refused_filters;
        if refused.contains(path) || refused.contains(written.as_str()) {
            return Err(Fault::unauthorized());
        }
        let space = self.context.broker.space.clone();
        let subscribing = Action::SubscribePattern(&pattern);
        space
            .authorize(attachment.origin(), subscribing)
            .map_err(Fault::of_gate)?;
        if let Some(group) = topic.group {
            return self
                .join_group(group, path, asked.options, attachment)
                .await;
        }
        let last = topic.options.last.unwrap_or(1);
        let replays = replays
            && last > 0
            && space.history().is_some()
            && space.may(attachment.origin(), Action::HistoryOfPattern(&pattern));
        if replays {
            self.subscriber.close_gate();
        }
        let joined = self
            .enter(
                Filter::Pattern(written, pattern),
                &interest,
                asked,
                attachment,
            )
            .await;
        if matches!(joined, Ok(true)) && self.subscriptions.insert(path.to_owned()) {
            let owner = MemberOwner::from(attachment.origin());
            self.member.join(&space, path, &owner).await;
        }
        if replays {
            let count = match joined {
                Ok(true) => usize::try_from(last).unwrap_or(usize::MAX),
                _ => 0,
            };
            self.replay(path, &topic.options, count).await;
        }
        joined.map(drop)
    }

    /// True when the client is to get what matches: the dispatcher may have dropped the command.
    async fn enter(
        &self,
        filter: Filter,
        interest: &Interest,
        asked: &SubscribeRequest,
        attachment: &mut Attachment,
    ) -> Result<bool, Fault> {
        // Known before anything can come.
        let known = self.subscriber.subscribe(Subscription {
            filter: filter.clone(),
            options: asked.options,
            by_server: false,
        });
        let before = known.map_err(|NoRoom| {
            self.context.broker.subscriptions_full.add();
            Fault::bad(SUBSCRIPTIONS_FULL)
        })?;
        let joined = interest.join(attachment).await;
        if let Ok(true) = joined {
            return Ok(true);
        }
        self.subscriber.undo_subscribe(&filter, before);
        Ok(joined?)
    }

    async fn join_group(
        &mut self,
        group: &str,
        path: &str,
        options: SubscriptionOptions,
        attachment: &mut Attachment,
    ) -> Result<(), Fault> {
        let Some(filter) = filter(path) else {
            return Ok(());
        };
        let broker = &self.context.broker;
        let limit = broker.space.limits().channels_per_connection_max;
        let group_and_path = (group.to_owned(), path.to_owned());
        if self.groups.contains(&group_and_path) {
            return Ok(());
        }
        if self.groups.len() >= limit {
            return Err(Fault::bad("There are too many share groups: leave one."));
        }
        attachment.rest_on_identity()?;
        let member = GroupMember {
            subscriber: Arc::downgrade(&self.subscriber),
            options,
        };
        let groups = &broker.shared_subscriptions;
        groups
            .join(&broker.space, group, &filter, &self.member.id, member)
            .await?;
        self.groups.insert(group_and_path);
        Ok(())
    }

    /// Sends stored messages, and then what was published meanwhile.
    async fn replay(&self, path: &str, options: &Options, count: usize) {
        let (mut read, span) = (Vec::new(), stored::span(options));
        if let Some(history) = self.context.broker.space.history() {
            match stored::newest(history, path, span, count).await {
                Ok(messages) => read = messages,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, path, "no stored messages for a subscriber");
                }
            }
        }
        let flusher = self.context.broker.space.hub().flusher();
        self.subscriber.open_gate(read, flusher);
    }

    /// Unsubscribes; true when there was such a subscription.
    pub(crate) async fn unsubscribe(
        &mut self,
        id: Option<NonZeroU16>,
        filter: &str,
        attachment: &mut Attachment,
    ) -> bool {
        let left = match Topic::parse(filter) {
            Ok(topic) => self.leave(&topic, attachment).await,
            Err(bad) => Err(bad.into()),
        };
        left.unwrap_or_else(|fault| {
            self.fail(&fault, id);
            false
        })
    }

    async fn leave(
        &mut self,
        topic: &Topic<'_>,
        attachment: &mut Attachment,
    ) -> Result<bool, Fault> {
        let path = topic.path.as_str();
        self.show(topic.key, topic.group, attachment);
        let filter = filter(path).ok_or(BadTopic)?;
        let space = &self.context.broker.space;
        space
            .authorize(attachment.origin(), filter.action())
            .map_err(Fault::of_gate)?;
        if let Some(group) = topic.group {
            let was_in = self.groups.remove(&(group.to_owned(), path.to_owned()));
            if was_in {
                self.leave_group(group, path).await;
            }
            return Ok(was_in);
        }
        let (Some(written), Some(pattern), Some(interest)) =
            (written(path), pattern(path), Interest::of(path))
        else {
            return Ok(false);
        };
        let left = interest.leave(attachment).await?;
        if left {
            self.subscriber
                .unsubscribe(&Filter::Pattern(written, pattern));
        }
        if left && self.subscriptions.remove(path) {
            self.member.leave(&self.context.broker.space, path).await;
        }
        Ok(left)
    }
}
