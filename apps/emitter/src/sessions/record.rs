//! The record of a session as it is written down: all but the messages that wait.

use std::{num::NonZeroU16, sync::Arc};

use polywire_core::{
    Channel, ConnectionId, Grant, Identity, JsonText, NodeId, Origin, Permissions, Scope,
    space::Action,
};
use serde::{Deserialize, Serialize};

use super::owner::Owner;
use crate::{
    broker::shared_subscriptions::GroupMember,
    codec::{
        connect::Will,
        filter::{Filter, Subscription, SubscriptionOptions},
        version::Version,
    },
    delivery::{
        client_limits::ClientLimits,
        inflight_snapshot::InflightSnapshot,
        inflight_window::InflightWindow,
        publisher::Publisher,
        queue_log::{QueueLog, StoredQueue},
        send_queue::SendQueue,
        subscriber::Subscriber,
    },
    emitter_mode::detect::TopicMode,
    session::{
        absence::Absence,
        context::SessionContext,
        qos2_deduplication::UnreleasedIds,
        retained_replay::RetainedReplay,
        state::{Session, SharedSubscription},
        topic_aliases::ClientTopicAliases,
    },
    settings::{NAME, RECEIVE_MAX},
};

/// A session, without the messages that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The node that has it.
    node: u64,
    version: Version,
    expiry_secs: u32,
    filters: Vec<(String, SubscriptionOptions)>,
    /// With the name of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shares: Vec<(String, String, SubscriptionOptions)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "received")]
    unreleased: Vec<NonZeroU16>,
    /// None while the client is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    away: Option<Away>,
    /// None for nobody in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
}

/// What is known of a client that is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Away {
    absence: Absence,
    #[serde(rename = "on_its_way")]
    inflight_snapshot: InflightSnapshot,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    will: Option<Will>,
}

/// Whether a will would be published now.
fn may_publish(session: &Session, will: &Will) -> bool {
    let (space, origin) = (session.attachment.space(), session.attachment.origin());
    let topic = Channel::new(&will.topic);
    topic.is_ok_and(|topic| space.may(origin, Action::Publish(&topic)))
}

impl Record {
    /// Reads what was written down.
    pub(super) fn read(text: &JsonText) -> Option<Self> {
        serde_json::from_str(text.as_str()).ok()
    }

    /// The node that has the session.
    pub(super) fn node(&self) -> NodeId {
        NodeId(self.node)
    }

    pub(super) fn of(session: &Session, node: NodeId) -> Self {
        let filters = session.subscriber.subscriptions().into_iter();
        let shares = session.shared_subscriptions.iter();
        let away = session.absence.map(|absence| Away {
            absence,
            inflight_snapshot: session.subscriber.inflight_snapshot(),
            // One that would not be published is not kept: its rights are not.
            will: session
                .will
                .clone()
                .filter(|will| may_publish(session, will)),
        });
        Self {
            node: node.0,
            version: session.version,
            expiry_secs: session.expiry_secs,
            // Where the server put it, it is while this node has it: it has no right to be there.
            filters: filters
                .filter(|held| !held.by_server)
                .map(|held| (held.filter.written().to_string(), held.options))
                .collect(),
            shares: shares
                .map(|share| {
                    let filter = share.filter.written().to_string();
                    (share.group.clone(), filter, share.options)
                })
                .collect(),
            // While it is connected this changes with each message.
            unreleased: match &away {
                Some(_) => session.unreleased.iter().collect(),
                None => Vec::new(),
            },
            away,
            owner: Owner::of(session.identity()),
        }
    }

    /// Whose rights a session rests on while its client is away: to read what it is subscribed to, and to publish its will.
    fn identity(&self) -> Identity {
        let filters = self.filters.iter().map(|(filter, _)| filter);
        let shares = self.shares.iter().map(|(_, filter, _)| filter);
        let reads = filters.chain(shares).filter_map(|filter| {
            let filter = Filter::parse(filter).ok()?;
            Some(Grant::new(filter.scope(), Permissions::READ))
        });
        let will = self.away.as_ref().and_then(|away| away.will.as_ref());
        let writes = will.and_then(|will| {
            let topic = Channel::new(&will.topic).ok()?;
            Some(Grant::new(Scope::Channel(topic), Permissions::WRITE))
        });
        let owner = self.owner.clone().unwrap_or_default();
        owner.identity(reads.chain(writes).collect())
    }

    /// The session of a client that is away, subscribed to what it was. What comes is held until it is
    /// [complete](Self::complete).
    pub(super) async fn restore(
        &self,
        id: &str,
        log: Option<QueueLog>,
        context: &SessionContext,
    ) -> Option<Box<Session>> {
        let broker = &context.broker;
        let space = &broker.space;
        let principal = self.owner.as_ref().and_then(Owner::client);
        let publisher = Publisher::of_session(id, principal)?;
        let client_limits = ClientLimits {
            version: self.version,
            packet_bytes_max: None,
        };
        let window = InflightWindow {
            version: self.version,
            messages_max: usize::from(RECEIVE_MAX),
            packet_bytes_max: usize::MAX,
        };
        let bytes_max = space.limits().outbound_bytes_max;
        let (budget, not_taken) = (broker.budget.clone(), broker.not_taken.clone());
        let send_queue = SendQueue::persistent(window, bytes_max, budget, log, not_taken);
        let connection = ConnectionId::next(space.hub().node());
        let encoders = broker.encoders(self.version);
        let ended = broker.ended_sessions.clone();
        let subscriber = Subscriber::persistent(
            connection,
            publisher,
            client_limits,
            encoders,
            send_queue,
            ended,
            broker.subscriber_rules,
        );
        let subscriber = Arc::new(subscriber);
        subscriber.close_gate();
        // Its client was allowed what it is subscribed to, and is looked at again when it comes.
        let origin = Origin::new(NAME, self.identity());
        let mut attachment = space.attach(origin, subscriber.clone());
        attachment.bounded_by_app();
        for (filter, options) in &self.filters {
            let Ok(filter) = Filter::parse(filter) else {
                continue;
            };
            let known = subscriber.subscribe(Subscription {
                filter: filter.clone(),
                options: *options,
                by_server: false,
            });
            if known.is_err() {
                broker.subscriptions_full.add();
                continue;
            }
            if let Err(refusal) = filter.subscribe(&mut attachment).await {
                tracing::debug!(client = id, %refusal, "a subscription was not restored");
            }
        }
        Some(Box::new(Session {
            version: self.version,
            id: id.into(),
            subscriber,
            mode: TopicMode::Plain,
            attachment,
            will: None,
            unreleased: UnreleasedIds::default(),
            topic_aliases: ClientTopicAliases::default(),
            shared_subscriptions: Vec::new(),
            expiry_secs: self.expiry_secs,
            absence: None,
            is_written: true,
            wants_reason_strings: false,
            is_bridge: false,
            retained_replay: RetainedReplay::default(),
        }))
    }

    /// What is known of a session whose messages that wait were read: nobody else has it any more.
    pub(super) async fn complete(
        self,
        session: &mut Session,
        stored: StoredQueue,
        context: &SessionContext,
    ) {
        session.unreleased = self.unreleased.into_iter().collect();
        // One that was connected when its node ended is away since it begins again.
        session.absence = Some(match &self.away {
            Some(away) => away.absence,
            None => Absence::from_now(self.expiry_secs),
        });
        let (inflight_snapshot, will) = self
            .away
            .map(|away| (away.inflight_snapshot, away.will))
            .unzip();
        session.will = will.flatten();
        let (broker, subscriber) = (&context.broker, &session.subscriber);
        let space = &broker.space;
        subscriber.restore(stored, inflight_snapshot, space.hub().flusher());
        for (group, filter, options) in self.shares {
            let Ok(filter) = Filter::parse(&filter) else {
                continue;
            };
            let member = GroupMember {
                subscriber: Arc::downgrade(subscriber),
                options,
            };
            if !space.may(session.attachment.origin(), filter.action()) {
                continue;
            }
            let (groups, id) = (
                &broker.shared_subscriptions,
                subscriber.publisher().session(),
            );
            let joined = groups.join(space, &group, &filter, id, member);
            if joined.await.is_ok() {
                session.shared_subscriptions.push(SharedSubscription {
                    group,
                    filter,
                    options,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in stores must be read by every later version.
    #[test]
    fn a_record_is_written_as_ever() {
        let away = r#"{"node":7,"version":"V5","expiry_secs":60,"filters":[["a/+",{"qos":1,"no_local":false,"as_published":true,"id":9}]],"shares":[["g","b",{"qos":2,"no_local":false,"as_published":false,"id":null}]],"received":[3],"away":{"absence":{"ends_at":100,"will_at":50},"on_its_way":{"last_id":5,"last_number":8,"sent":[[6,4,true]],"waiting":[[7,8]]},"will":{"topic":"w","payload":[120],"qos":1,"about":{"qos":1,"retain":true},"expiry_secs":30,"delay_secs":50}}}"#;
        let here = r#"{"node":7,"version":"V3","expiry_secs":60,"filters":[]}"#;
        let owned = r#"{"node":7,"version":"V3","expiry_secs":60,"filters":[["a/#",{"qos":1,"no_local":false,"as_published":false,"id":null}]],"owner":{"client":"ann","credential":"user:ann","issued_at":5,"expires_at":9}}"#;
        for text in [away, here, owned] {
            let record = Record::read(&JsonText::parse(text.into()).unwrap()).unwrap();
            assert_eq!(record.node(), NodeId(7));
            assert_eq!(serde_json::to_string(&record).unwrap(), text);
            assert_eq!(Owner::of(&record.identity()), record.owner);
        }
        let record = Record::read(&JsonText::parse(owned.into()).unwrap()).unwrap();
        let identity = record.identity();
        let [grant] = &*identity.grants else {
            panic!("it reads what it is subscribed to");
        };
        assert_eq!(grant.permissions, Permissions::READ);
        assert!(identity.is_expired());
    }
}
