//! The session of a client: what its packets do.

mod life;

pub(crate) use self::life::Absence;

use std::{
    collections::{HashMap, HashSet},
    num::{NonZeroU16, NonZeroU32},
    sync::Arc,
};

use bytes::Bytes;
use bytestring::ByteString;
use polywire_core::{
    Channel, Draft, Payload, Refusal, RefusalKind,
    space::{Attachment, Subscribed},
};
use rmqtt_codec::{
    types::{Publish, QoS},
    v5::{DisconnectReasonCode, PublishAckReason, RetainHandling, SubscribeAckReason},
};

use crate::{
    about::{self, About},
    client::Client,
    connect::Will,
    face::{Face, Message, zero_id},
    incoming::{Ack, Asked, Incoming},
    outgoing,
    share::Member,
    shared::{ALIASES_MAX, IN_FLIGHT_MAX, Shared},
    subscription::{Filter, Subscription, Wish, is_topic, shared as shared_filter},
    version::Version,
};

/// The session of a client that has said CONNECT.
pub(crate) struct Session {
    pub(crate) version: Version,
    /// The client id.
    pub(crate) id: ByteString,
    pub(crate) client: Arc<Client>,
    pub(crate) face: Face,
    pub(crate) attachment: Attachment,
    pub(crate) will: Option<Will>,
    /// Packet ids of messages of quality 2 that were published and not released.
    pub(crate) received: HashSet<NonZeroU16>,
    /// Short names that the client gave to topics, for as long as it is connected.
    pub(crate) aliases: HashMap<NonZeroU16, ByteString>,
    /// Groups that it shares subscriptions with.
    pub(crate) groups: Vec<Share>,
    /// Seconds that it lasts without a connection.
    pub(crate) expiry_secs: u32,
    /// None while the client is connected.
    pub(crate) absence: Option<Absence>,
    /// It is written down somewhere.
    pub(crate) is_written: bool,
    /// The client is told in words what is wrong.
    pub(crate) is_explained: bool,
}

/// A subscription that is shared with a group.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) group: String,
    pub(crate) filter: Filter,
    pub(crate) wish: Wish,
}

/// A draft with what is said about it.
pub(crate) fn described(draft: Draft, about: &About, expiry_secs: Option<NonZeroU32>) -> Draft {
    let mut draft = draft.meta(about.meta());
    draft.retention.ttl = about::time_to_live(expiry_secs);
    draft
}

/// Publishes on the plain face, and retains what is to be.
pub(crate) async fn publish_plain(
    shared: &Shared,
    attachment: &Attachment,
    draft: Draft,
    retain: bool,
) -> Result<(), Refusal> {
    let retained = retain.then(|| draft.clone());
    let published = attachment.publish(draft).await?;
    match retained {
        Some(draft) if published.is_some() => shared.retained.set(&shared.space, &draft).await,
        _ => Ok(()),
    }
}

fn why(refusal: &Refusal) -> SubscribeAckReason {
    match refusal.kind {
        RefusalKind::Forbidden => SubscribeAckReason::NotAuthorized,
        RefusalKind::LimitExceeded => SubscribeAckReason::QuotaExceeded,
        _ => SubscribeAckReason::UnspecifiedError,
    }
}

impl Session {
    /// Does what a packet asks for; false when the client leaves. `lent`: the packet came with id 0.
    pub(crate) async fn take(
        &mut self,
        incoming: Incoming,
        lent: bool,
        shared: &Arc<Shared>,
    ) -> Result<bool, DisconnectReasonCode> {
        let client = &self.client.clone();
        if let Face::Undecided(_) = self.face
            && let Some(topic) = incoming.topic()
        {
            let is_emitter = shared.emitter.is_meant(topic);
            // Boxed, as what follows: it happens once.
            Box::pin(self.face.choose(is_emitter, shared, client, self.version)).await;
        }
        if lent && !matches!(self.face, Face::Emitter(_)) {
            return Err(DisconnectReasonCode::MalformedPacket);
        }
        let answer = |packet: Option<Bytes>| match lent {
            true => client.send(packet.as_ref().map(zero_id::give_back)),
            false => client.send(packet),
        };
        match incoming {
            Incoming::Publish(publish) => self.publish(*publish, shared, client).await?,
            Incoming::Ack(ack) => self.acknowledged(ack),
            Incoming::Subscribe(id, asked) => {
                let mut answers = Vec::with_capacity(asked.len());
                let mut retained = Vec::new();
                for asked in asked {
                    answers.push(match &mut self.face {
                        Face::Emitter(speaker) => {
                            let attachment = &mut self.attachment;
                            let id = (!lent).then_some(id);
                            Box::pin(speaker.subscribe(id, &asked, attachment)).await
                        }
                        Face::Plain | Face::Undecided(_) => {
                            self.subscribe(asked, shared, client, &mut retained).await
                        }
                    });
                }
                self.remember(shared).await?;
                answer(outgoing::subscribed(self.version, id, answers));
                for (filter, wish) in retained {
                    for publication in shared.retained.of(&shared.space, &filter).await {
                        client.send_retained(&publication, wish);
                    }
                }
            }
            Incoming::Unsubscribe(id, filters) => {
                let mut existed = Vec::with_capacity(filters.len());
                for filter in filters {
                    existed.push(match &mut self.face {
                        Face::Emitter(speaker) => {
                            let attachment = &mut self.attachment;
                            let id = (!lent).then_some(id);
                            Box::pin(speaker.unsubscribe(id, &filter, attachment)).await
                        }
                        Face::Plain | Face::Undecided(_) => {
                            self.unsubscribe(&filter, shared, client).await
                        }
                    });
                }
                self.remember(shared).await?;
                answer(outgoing::unsubscribed(self.version, id, &existed));
            }
            Incoming::Ping => client.send(outgoing::pong(self.version)),
            Incoming::Disconnect {
                with_will,
                expiry_secs,
            } => {
                if let Some(secs) = expiry_secs {
                    if self.expiry_secs == 0 && secs > 0 {
                        // It was to end with its connection (MQTT 5.0 section 3.14.2.2.2).
                        return Err(DisconnectReasonCode::ProtocolError);
                    }
                    self.expiry_secs = shared.sessions.expiry_secs(secs);
                }
                self.will.take_if(|_| !with_will);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The client says how far it has come with a message.
    pub(crate) fn acknowledged(&mut self, ack: Ack) {
        let client = &self.client;
        match ack {
            Ack::Done(id) => client.done(id),
            Ack::Received(id) => {
                // Also for one that is not known, so that the client forgets it.
                client.release(id);
                client.send(outgoing::release(self.version, id));
            }
            Ack::Release(id) => {
                // One that was released over an earlier connection, whose answer was lost, is no fault: clients
                // that are told of one give up.
                let known = self.received.remove(&id) || self.lasts();
                client.send(outgoing::complete(self.version, id, known));
            }
        }
    }

    async fn publish(
        &mut self,
        mut publish: Publish,
        shared: &Arc<Shared>,
        client: &Client,
    ) -> Result<(), DisconnectReasonCode> {
        let properties = publish.properties.as_ref();
        if let Some(alias) = properties.and_then(|properties| properties.topic_alias) {
            publish.topic = self.unabridged(alias, publish.topic, shared)?;
        }
        let is_plain = !matches!(self.face, Face::Emitter(_));
        if is_plain && !is_topic(&publish.topic) {
            return Err(DisconnectReasonCode::TopicNameInvalid);
        }
        if publish.qos == QoS::ExactlyOnce
            && let Some(id) = publish.packet_id
        {
            if self.received.contains(&id) {
                // It was published before; the client missed the answer.
                let success = PublishAckReason::Success;
                let answer = outgoing::received(self.version, publish.qos, id, success, None);
                client.send(answer);
                return Ok(());
            }
            if self.received.len() >= usize::from(IN_FLIGHT_MAX) {
                return Err(DisconnectReasonCode::ReceiveMaximumExceeded);
            }
        }
        let has_answer = publish.packet_id.is_some();
        let mark = has_answer.then(|| shared.sessions.ledgers.mark());
        let refusal = match &mut self.face {
            Face::Emitter(speaker) => {
                let message = Message {
                    payload: publish.payload,
                    qos: publish.qos,
                    retain: publish.retain,
                };
                let (id, attachment) = (publish.packet_id, &mut self.attachment);
                let published = speaker.publish(&publish.topic, message, id, attachment);
                Box::pin(published).await.err()
            }
            Face::Plain | Face::Undecided(_) => {
                let Ok(topic) = Channel::new(&publish.topic) else {
                    return Err(DisconnectReasonCode::TopicNameInvalid);
                };
                let about = About::of_packet(&publish);
                let properties = publish.properties.as_ref();
                let expiry = properties.and_then(|properties| properties.message_expiry_interval);
                let draft = Draft::new(topic, Payload::untyped(publish.payload))
                    .publisher(self.client.id().clone());
                let draft = described(draft, &about, expiry);
                if publish.retain {
                    let published = publish_plain(shared, &self.attachment, draft, true);
                    Box::pin(published).await.err()
                } else {
                    self.attachment.publish(draft).await.err()
                }
            }
        };
        let Some(id) = publish.packet_id else {
            return Ok(());
        };
        // Who is away has it before its publisher is told so.
        let refusal = match (refusal, mark) {
            (None, Some(mark)) => shared.sessions.ledgers.settled(mark).await.err(),
            (refusal, _) => refusal,
        };
        // 3.1.1 has no word for it; the client sends it again over another connection.
        let is_lost = |refusal: &Refusal| refusal.kind == RefusalKind::Unavailable;
        if self.version == Version::V3 && refusal.as_ref().is_some_and(is_lost) {
            return Err(DisconnectReasonCode::UnspecifiedError);
        }
        let reason = refusal.as_ref().map(|refusal| match refusal.kind {
            RefusalKind::Forbidden => PublishAckReason::NotAuthorized,
            RefusalKind::LimitExceeded => PublishAckReason::QuotaExceeded,
            _ => PublishAckReason::UnspecifiedError,
        });
        let reason = reason.unwrap_or(PublishAckReason::Success);
        let why = refusal.filter(|_| self.is_explained);
        let why = why.as_ref().map(|refusal| &*refusal.message);
        // A refusal ends the exchange in 5.0; in 3.1.1 the client goes on with it.
        let goes_on = self.version == Version::V3 || reason == PublishAckReason::Success;
        if publish.qos == QoS::ExactlyOnce && goes_on {
            self.received.insert(id);
        }
        let answer = outgoing::received(self.version, publish.qos, id, reason, why);
        client.send(answer);
        Ok(())
    }

    /// Writes down what the session is subscribed to now, if it outlives its connection. A client that is not told that
    /// it was tries again.
    async fn remember(&mut self, shared: &Shared) -> Result<(), DisconnectReasonCode> {
        if !self.lasts() {
            return Ok(());
        }
        let remembered = shared.sessions.remember(self, &shared.space);
        Box::pin(remembered).await.map_err(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, client = %self.id, "a session cannot be written down");
            DisconnectReasonCode::UnspecifiedError
        })
    }

    /// The topic that a short name stands for; with a topic it stands for that from now on.
    fn unabridged(
        &mut self,
        alias: NonZeroU16,
        topic: ByteString,
        shared: &Shared,
    ) -> Result<ByteString, DisconnectReasonCode> {
        let invalid = DisconnectReasonCode::TopicAliasInvalid;
        if alias.get() > ALIASES_MAX {
            return Err(invalid);
        }
        if topic.is_empty() {
            return self.aliases.get(&alias).cloned().ok_or(invalid);
        }
        if topic.len() > shared.space.limits().name_bytes_max {
            return Err(DisconnectReasonCode::TopicNameInvalid);
        }
        self.aliases.insert(alias, topic.clone());
        Ok(topic)
    }

    /// Subscribes. For which filters retained messages are to be sent is added to `retained`.
    async fn subscribe(
        &mut self,
        asked: Asked,
        shared: &Shared,
        client: &Arc<Client>,
        retained: &mut Vec<(Filter, Wish)>,
    ) -> Result<QoS, SubscribeAckReason> {
        let wish = asked.wish;
        let share = shared_filter(&asked.filter)?;
        let written = share.map_or(&*asked.filter, |(_, filter)| filter);
        let refused = &shared.emitter.refused_filters;
        if refused.iter().any(|one| *one == *written) {
            return Err(SubscribeAckReason::NotAuthorized);
        }
        let filter = Filter::parse(written)?;
        if let Some((group, _)) = share {
            return Box::pin(self.join_group(group, filter, wish, shared, client)).await;
        }
        // Known before anything can come.
        let before = client.subscribe(Subscription {
            filter: filter.clone(),
            wish,
        });
        let is_new = before.is_none();
        let joined = filter.clone().subscribe(&mut self.attachment).await;
        let reason = match joined {
            Ok(Subscribed::Joined | Subscribed::Again) => {
                if asked.retained == RetainHandling::AtSubscribe
                    || (asked.retained == RetainHandling::AtSubscribeNew && is_new)
                {
                    retained.push((filter, wish));
                }
                return Ok(wish.qos);
            }
            // The client is to believe that it was done.
            Ok(Subscribed::Dropped) => None,
            Err(refusal) => Some(why(&refusal)),
        };
        client.unsubscribe(&filter);
        if let Some(before) = before {
            client.subscribe(before);
        }
        reason.map_or(Ok(wish.qos), Err)
    }

    /// Shares a subscription. No retained messages are sent to it (MQTT 5.0 section 4.8.2).
    async fn join_group(
        &mut self,
        group: &str,
        filter: Filter,
        wish: Wish,
        shared: &Shared,
        client: &Arc<Client>,
    ) -> Result<QoS, SubscribeAckReason> {
        if wish.no_local {
            return Err(SubscribeAckReason::ImplementationSpecificError);
        }
        let limit = shared.space.limits().channels_per_connection_max;
        let same = |share: &Share| share.group == group && share.filter == filter;
        let known = self.groups.iter().position(same);
        if self.groups.len() >= limit && known.is_none() {
            return Err(SubscribeAckReason::QuotaExceeded);
        }
        self.attachment
            .may_read(filter.written(), filter.is_pattern())
            .map_err(|refusal| why(&refusal))?;
        let member = Member {
            client: Arc::downgrade(client),
            wish,
        };
        let (groups, space) = (&shared.emitter.groups, &shared.space);
        let joined = groups.join(space, group, &filter, client.id(), member);
        joined.await.map_err(|refusal| why(&refusal))?;
        match known {
            Some(index) => self.groups[index].wish = wish,
            None => self.groups.push(Share {
                group: group.to_owned(),
                filter,
                wish,
            }),
        }
        Ok(wish.qos)
    }

    /// True when there was such a subscription.
    async fn unsubscribe(&mut self, filter: &str, shared: &Shared, client: &Client) -> bool {
        let Ok(share) = shared_filter(filter) else {
            return false;
        };
        let Ok(filter) = Filter::parse(share.map_or(filter, |(_, filter)| filter)) else {
            return false;
        };
        if let Some((group, _)) = share {
            let before = self.groups.len();
            self.groups
                .retain(|share| share.group != group || share.filter != filter);
            let groups = &shared.emitter.groups;
            groups
                .leave(&shared.space, group, &filter, client.id())
                .await;
            return self.groups.len() < before;
        }
        let left = match filter.clone() {
            Filter::Channel(channel) => self.attachment.unsubscribe(channel).await,
            Filter::Pattern(written, pattern) => {
                self.attachment.unsubscribe_pattern(written, &pattern).await
            }
        };
        let left = left.unwrap_or(false);
        if left {
            client.unsubscribe(&filter);
        }
        left
    }
}
