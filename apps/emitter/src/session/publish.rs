//! PUBLISH: a message of a client. It is answered with PUBACK at QoS 1, with PUBREC at QoS 2.

use std::num::NonZeroU16;

use polywire_core::{Channel, Draft, Payload, Refusal, RefusalKind, space::Publishing};
use rmqtt_codec::{
    types::{Publish, QoS},
    v5::{DisconnectReasonCode, PublishAckReason},
};

use super::{context::SessionContext, qos2_deduplication::Arrival, state::Session};
use crate::{
    codec::{
        message_properties::{MessageProperties, clearing_if_empty, with_properties},
        outgoing,
        text::is_topic,
        version::Version,
    },
    emitter_mode::{detect::TopicMode, publish::EmitterPublish},
};

/// A message of QoS 1 or 2 that has its place, and that the client has not been told of.
pub(crate) struct Unconfirmed {
    qos: QoS,
    id: NonZeroU16,
    published: Result<Publishing, Refusal>,
}

/// What the client is told of a message of QoS 1 or 2.
pub(crate) struct Confirmation {
    qos: QoS,
    id: NonZeroU16,
    refusal: Option<Refusal>,
}

impl Unconfirmed {
    /// Waits until it is stored.
    pub(crate) async fn outcome(self) -> Confirmation {
        let refusal = match self.published {
            Ok(publishing) => publishing.outcome().await.err(),
            Err(refusal) => Some(refusal),
        };
        let (qos, id) = (self.qos, self.id);
        Confirmation { qos, id, refusal }
    }

    /// What became of it, where that is known.
    pub(crate) fn now(self) -> Result<Confirmation, Self> {
        let refusal = match self.published {
            Ok(Publishing::Pending(_)) => return Err(self),
            Ok(Publishing::Done(_)) => None,
            Err(refusal) => Some(refusal),
        };
        let (qos, id) = (self.qos, self.id);
        Ok(Confirmation { qos, id, refusal })
    }
}

impl Session {
    pub(super) async fn publish(
        &mut self,
        mut publish: Publish,
        expiry_secs: Option<u32>,
        context: &SessionContext,
    ) -> Result<Option<Unconfirmed>, DisconnectReasonCode> {
        let channel = self.resolve_topic(&mut publish, context)?;
        let (id, qos) = (publish.packet_id, publish.qos);
        if let (QoS::ExactlyOnce, Some(id)) = (qos, id) {
            match self.unreleased.arrival(id) {
                Arrival::New => {}
                Arrival::Duplicate => {
                    self.answer_publish(qos, id, PublishAckReason::Success, None);
                    return Ok(None);
                }
                Arrival::TooMany => return Err(DisconnectReasonCode::ReceiveMaximumExceeded),
            }
        }
        let Some(id) = id else {
            // Nobody is told at QoS 0 what became of it.
            let _ = self.send_on(channel, publish, expiry_secs, context).await;
            return Ok(None);
        };
        let published = self.send_on(channel, publish, expiry_secs, context).await;
        let unconfirmed = Unconfirmed { qos, id, published };
        if qos == QoS::ExactlyOnce {
            // While nobody can take the session over: sent again there, it must be known.
            self.confirm(unconfirmed.outcome().await)?;
            return Ok(None);
        }
        Ok(Some(unconfirmed))
    }

    /// Puts the topic in its place that an alias stands for, and returns the channel that it names; none in the Emitter
    /// protocol, which reads topics itself.
    fn resolve_topic(
        &mut self,
        publish: &mut Publish,
        context: &SessionContext,
    ) -> Result<Option<Channel>, DisconnectReasonCode> {
        let properties = publish.properties.as_ref();
        if let Some(alias) = properties.and_then(|properties| properties.topic_alias) {
            let topic = std::mem::take(&mut publish.topic);
            let limit = context.broker.space.limits().name_bytes_max;
            let aliases = &mut self.topic_aliases;
            publish.topic = aliases.resolve_topic_alias(alias, topic, limit)?;
        }
        if let TopicMode::Emitter(_) = self.mode {
            return Ok(None);
        }
        match Channel::new(&publish.topic) {
            Ok(channel) if is_topic(&publish.topic) => Ok(Some(channel)),
            _ => Err(DisconnectReasonCode::TopicNameInvalid),
        }
    }

    async fn send_on(
        &mut self,
        channel: Option<Channel>,
        publish: Publish,
        expiry_secs: Option<u32>,
        context: &SessionContext,
    ) -> Result<Publishing, Refusal> {
        let Some(channel) = channel else {
            let published = Box::pin(self.publish_emitter(publish)).await;
            return published.map(|()| Publishing::Done(None));
        };
        let mut properties = MessageProperties::of_packet(&publish, expiry_secs);
        properties.client_id = self.subscriber.carried_client_id().map(Into::into);
        let draft = Draft::new(channel, Payload::untyped(publish.payload))
            .publisher(self.subscriber.publisher().id().clone());
        let draft = with_properties(draft, &properties, expiry_secs);
        let draft = if publish.retain {
            clearing_if_empty(draft)
        } else {
            draft
        };
        if publish.retain {
            let published = context.broker.publish_retained(&self.attachment, draft);
            return Box::pin(published).await.map(|()| Publishing::Done(None));
        }
        self.attachment.place(draft).await
    }

    async fn publish_emitter(&mut self, publish: Publish) -> Result<(), Refusal> {
        let TopicMode::Emitter(emitter) = &mut self.mode else {
            return Ok(());
        };
        let (topic, id) = (publish.topic, publish.packet_id);
        let message = EmitterPublish {
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
        };
        let attachment = &mut self.attachment;
        emitter.publish(&topic, message, id, attachment).await
    }

    /// Tells the client what became of a message of QoS 1 or 2: who is away has it then.
    pub(crate) fn confirm(
        &mut self,
        Confirmation { qos, id, refusal }: Confirmation,
    ) -> Result<(), DisconnectReasonCode> {
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
        // A refusal ends the exchange in 5.0; in 3.1.1 the client goes on with it.
        let goes_on = self.version == Version::V3 || reason == PublishAckReason::Success;
        if qos == QoS::ExactlyOnce && goes_on {
            self.unreleased.published(id);
        }
        let why = refusal.filter(|_| self.wants_reason_strings);
        let why = why.as_ref().map(|refusal| &*refusal.message);
        self.answer_publish(qos, id, reason, why);
        Ok(())
    }

    fn answer_publish(
        &self,
        qos: QoS,
        id: NonZeroU16,
        reason: PublishAckReason,
        why: Option<&str>,
    ) {
        let answer = outgoing::puback_or_pubrec(self.version, qos, id, reason, why);
        self.subscriber.send(answer);
    }
}
