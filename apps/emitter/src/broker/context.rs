//! The broker: what the sessions of all clients share.

use std::sync::Arc;

use polywire_core::{Channel, Counter, Draft, Refusal, Space, TokenPlace, space::Attachment};

use super::{
    counters::Counters,
    refused_filters::RefusedFilters,
    retained::{RetainedMessages, RetainedPage},
    shared_subscriptions::SharedSubscriptions,
    sys_topics::SysTopics,
};
use crate::{
    codec::{encoder::Encoders, filter::Filter, version::Version},
    delivery::{
        budget::Budget, ended_sessions::EndedSessions, queue_log::QueueLogs,
        subscriber_rules::SubscriberRules,
    },
    settings::SessionLimits,
};

/// What the sessions of all clients share.
pub(crate) struct BrokerContext {
    pub(crate) space: Arc<Space>,
    /// Clients of plain MQTT without credentials are refused.
    pub(crate) authenticate: bool,
    /// Where the authentication policy finds the password.
    pub(crate) password_place: TokenPlace,
    pub(crate) packet_bytes_max: usize,
    pub(crate) v3: Encoders,
    pub(crate) v5: Encoders,
    pub(crate) retained: Arc<RetainedMessages>,
    /// None where they are off.
    pub(crate) sys_topics: Option<Arc<SysTopics>>,
    pub(crate) shared_subscriptions: SharedSubscriptions,
    pub(crate) refused_filters: RefusedFilters,
    pub(crate) counters: Arc<Counters>,
    /// Packets that did not come, or did not end, in time.
    pub(crate) late_packets: Arc<Counter>,
    /// Connections for which too much waited.
    pub(crate) slow: Arc<Counter>,
    /// Sessions that messages were lost for, and that began anew.
    pub(crate) sessions_with_gaps: Arc<Counter>,
    /// Messages that a client, or no client, can take.
    pub(crate) not_taken: Arc<Counter>,
    /// Subscriptions that were refused because a client has as many as it may.
    pub(crate) subscriptions_full: Arc<Counter>,
    pub(crate) subscriber_rules: SubscriberRules,
    pub(crate) session_limits: SessionLimits,
    /// What waits for all clients together.
    pub(crate) budget: Arc<Budget>,
    pub(crate) queue_logs: Arc<QueueLogs>,
    pub(crate) ended_sessions: Arc<EndedSessions>,
    /// 0 where clients say it themselves.
    pub(crate) keep_alive_secs_max: u16,
}

impl BrokerContext {
    /// The wire formats of plain MQTT.
    pub(crate) fn encoders(&self, version: Version) -> Encoders {
        match version {
            Version::V3 => self.v3.clone(),
            Version::V5 => self.v5.clone(),
        }
    }

    /// How many seconds a session lasts without a connection whose client asks for so many.
    pub(crate) fn expiry_secs(&self, asked: u32) -> u32 {
        asked.min(self.session_limits.expiry_secs_max)
    }

    /// Publishes a message that is to be retained, and retains it, in one step for its topic.
    ///
    /// # Errors
    /// When it was not published, or not retained.
    pub(crate) async fn publish_retained(
        &self,
        attachment: &Attachment,
        draft: Draft,
    ) -> Result<(), Refusal> {
        let Some(topic) = draft.target.channel() else {
            return Ok(());
        };
        let _turn = self.retained.turn(topic).await;
        let retained = draft.clone();
        match attachment.publish(draft).await? {
            Some(receipt) => {
                let at = receipt.position.timetoken;
                self.retained.set(&retained, at).await
            }
            None => Ok(()),
        }
    }

    /// Some of what a new subscriber of a filter gets at once, behind a topic: retained messages, or what the server says
    /// of itself.
    pub(crate) async fn retained_messages(
        &self,
        filter: &Filter,
        after: Option<&str>,
    ) -> RetainedPage {
        if !filter.written().is_system() {
            return self.retained.page(filter, after).await;
        }
        let sys_topics = self.sys_topics.iter();
        let mut messages: Vec<_> = sys_topics.flat_map(|topics| topics.of(filter)).collect();
        messages.retain(|message| {
            let topic = message.target.channel().map(Channel::as_str);
            after.is_none_or(|after| topic > Some(after))
        });
        messages.sort_by(|one, other| one.target.cmp(&other.target));
        RetainedPage {
            messages,
            after: None,
        }
    }
}
