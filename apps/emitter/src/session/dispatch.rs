//! Dispatch of packets of a connected client: each kind has a file of its own.

use std::num::NonZeroU16;

use bytes::Bytes;
use bytestring::ByteString;
use rmqtt_codec::v5::{DisconnectReasonCode, RetainHandling};

use super::{
    context::SessionContext, publish::Unconfirmed, retained_replay::ReplayRequest, state::Session,
};
use crate::{
    codec::{
        ack::Ack,
        incoming::{Incoming, SubscribeRequest},
        outgoing, zero_packet_id,
    },
    emitter_mode::detect::TopicMode,
};

/// What is left to do behind a packet.
pub(crate) enum Handled {
    Done,
    /// The client is to be told what became of a message.
    Published(Unconfirmed),
    /// The client leaves.
    Disconnected,
    /// Its subscriptions changed: a session that outlives its connection is written down before the client is
    /// [answered](Session::answer).
    SubscriptionsChanged(PendingAnswer),
}

/// SUBACK or UNSUBACK, and the filters of which retained messages come behind it.
pub(crate) struct PendingAnswer {
    packet: Option<Bytes>,
    retained: Vec<ReplayRequest>,
}

impl Session {
    /// Does what a packet asks for. `substituted`: the packet came with id 0.
    ///
    /// # Errors
    /// Why the connection is closed.
    pub(crate) async fn handle(
        &mut self,
        incoming: Incoming,
        substituted: bool,
        context: &SessionContext,
    ) -> Result<Handled, DisconnectReasonCode> {
        if let TopicMode::Undecided(_) = self.mode
            && let Some(topic) = incoming.topic()
        {
            let is_emitter = context.emitter.is_meant(topic);
            self.choose_mode(is_emitter, context);
        }
        if substituted && !matches!(self.mode, TopicMode::Emitter(_)) {
            return Err(DisconnectReasonCode::MalformedPacket);
        }
        match incoming {
            Incoming::Publish {
                publish,
                expiry_secs,
            } => {
                let published = self.publish(*publish, expiry_secs, context).await?;
                return Ok(published.map_or(Handled::Done, Handled::Published));
            }
            Incoming::Ack(ack) => self.acknowledged(ack),
            Incoming::Subscribe(id, requests) => {
                let mut answer = self.subscribe_all(id, requests, substituted, context).await;
                answer.restore_id(substituted);
                return Ok(Handled::SubscriptionsChanged(answer));
            }
            Incoming::Unsubscribe(id, filters) => {
                let mut answer = self
                    .unsubscribe_all(id, filters, substituted, context)
                    .await;
                answer.restore_id(substituted);
                return Ok(Handled::SubscriptionsChanged(answer));
            }
            Incoming::Ping => self.subscriber.send(outgoing::pingresp(self.version)),
            Incoming::Disconnect {
                with_will,
                expiry_secs,
            } => {
                self.disconnect(with_will, expiry_secs, context)?;
                return Ok(Handled::Disconnected);
            }
        }
        Ok(Handled::Done)
    }

    /// The client says how far it has come with a message.
    pub(crate) fn acknowledged(&mut self, ack: Ack) {
        match ack {
            Ack::PubAck(id) => self.puback(id),
            Ack::PubRec(id) => self.pubrec(id),
            Ack::PubRecRefused(id) => self.pubrec_refused(id),
            Ack::PubRel(id) => self.pubrel(id),
            Ack::PubComp(id) => self.pubcomp(id),
        }
    }

    /// Answers SUBSCRIBE and UNSUBSCRIBE, and sends what is retained.
    pub(crate) async fn answer(&mut self, answers: Vec<PendingAnswer>, context: &SessionContext) {
        let mut retained = Vec::new();
        for answer in answers {
            self.subscriber.send(answer.packet);
            retained.extend(answer.retained);
        }
        let replay = &mut self.retained_replay;
        let replayed = replay.begin(retained, &self.subscriber, &context.broker);
        Box::pin(replayed).await;
    }

    /// Decides which protocol the client speaks, if that is not known yet.
    pub(crate) fn choose_mode(&mut self, is_emitter: bool, context: &SessionContext) {
        let (subscriber, version) = (&self.subscriber, self.version);
        let (mode, attachment) = (&mut self.mode, &mut self.attachment);
        mode.choose(
            is_emitter,
            &context.emitter,
            subscriber,
            version,
            attachment,
        );
    }

    async fn subscribe_all(
        &mut self,
        id: NonZeroU16,
        requests: Vec<SubscribeRequest>,
        substituted: bool,
        context: &SessionContext,
    ) -> PendingAnswer {
        let mut answers = Vec::with_capacity(requests.len());
        let mut retained = Vec::new();
        let wants_retained =
            |request: &SubscribeRequest| request.retained != RetainHandling::NoAtSubscribe;
        if !matches!(self.mode, TopicMode::Emitter(_)) && requests.iter().any(wants_retained) {
            self.retained_replay.hold(&self.subscriber);
        }
        for request in requests {
            answers.push(match &mut self.mode {
                TopicMode::Emitter(emitter) => {
                    let attachment = &mut self.attachment;
                    let id = (!substituted).then_some(id);
                    Box::pin(emitter.subscribe(id, &request, attachment)).await
                }
                TopicMode::Plain | TopicMode::Undecided(_) => {
                    self.subscribe(request, context, &mut retained).await
                }
            });
        }
        PendingAnswer {
            packet: outgoing::suback(self.version, id, answers, self.wants_reason_strings),
            retained,
        }
    }

    async fn unsubscribe_all(
        &mut self,
        id: NonZeroU16,
        filters: Vec<ByteString>,
        substituted: bool,
        context: &SessionContext,
    ) -> PendingAnswer {
        let mut existed = Vec::with_capacity(filters.len());
        for filter in filters {
            existed.push(match &mut self.mode {
                TopicMode::Emitter(emitter) => {
                    let attachment = &mut self.attachment;
                    let id = (!substituted).then_some(id);
                    Box::pin(emitter.unsubscribe(id, &filter, attachment)).await
                }
                TopicMode::Plain | TopicMode::Undecided(_) => {
                    self.unsubscribe(&filter, context).await
                }
            });
        }
        PendingAnswer {
            packet: outgoing::unsuback(self.version, id, &existed),
            retained: Vec::new(),
        }
    }
}

impl PendingAnswer {
    /// Gives the answer the id that the packet came with.
    fn restore_id(&mut self, substituted: bool) {
        if substituted {
            self.packet = self.packet.as_ref().map(zero_packet_id::restore);
        }
    }
}
