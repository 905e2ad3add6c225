//! PUBLISH of a client that speaks the Emitter protocol: a message for a channel, or a request.

use std::{num::NonZeroU16, time::Duration};

use bytes::Bytes;
use polywire_core::{
    Channel, Draft, JsonText, Payload, Refusal, RefusalKind, Retention, space::Attachment,
};
use rmqtt_codec::types::QoS;

use super::{
    fault::Fault,
    keys::Shown,
    requests,
    session::EmitterSession,
    topic::{Address, Options, REQUESTS, Topic},
};
use crate::codec::{connect::Will, message_properties::MessageProperties};

/// How long a retained message without a time to live is stored.
const RETAINED_SECS: u64 = 30 * 24 * 60 * 60;
/// The longest time to live: a hundred years.
const TTL_SECS_MAX: u64 = 100 * 365 * 24 * 60 * 60;

/// What a client publishes.
pub(crate) struct EmitterPublish {
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// Why a message was not published.
enum NotPublished {
    /// The client is told so in a message.
    Fault(Fault),
    /// It could not be kept, or not reach other nodes: it is not confirmed.
    Unavailable(Refusal),
}

impl From<Fault> for NotPublished {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refusal> for NotPublished {
    fn from(refusal: Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Unavailable => Self::Unavailable(refusal),
            _ => Self::Fault(refusal.into()),
        }
    }
}

impl EmitterSession {
    /// Publishes, or does what is requested; the client is told of what is wrong.
    ///
    /// # Errors
    /// When a message could not be kept, or not reach other nodes.
    pub(crate) async fn publish(
        &mut self,
        topic: &str,
        message: EmitterPublish,
        id: Option<NonZeroU16>,
        attachment: &mut Attachment,
    ) -> Result<(), Refusal> {
        let sent = match Address::parse(topic) {
            Ok(Address::Request(name)) => {
                self.request(name, &message.payload, id, attachment).await;
                return Ok(());
            }
            Ok(Address::Link(name)) => match self.links.get(name) {
                Some((key, channel)) => {
                    let topic = format!("{key}/{channel}");
                    self.send(&topic, message, attachment).await
                }
                None => Err(Fault::bad("There is no such link.").into()),
            },
            Ok(Address::Channel(_)) => self.send(topic, message, attachment).await,
            Err(bad) => Err(Fault::from(bad).into()),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(NotPublished::Unavailable(refusal)) => Err(refusal),
            Err(NotPublished::Fault(fault)) => {
                self.fail(&fault, id);
                Ok(())
            }
        }
    }

    /// Publishes the will; false when it was not. Nobody can be told what is wrong with it.
    pub(crate) async fn publish_will(&mut self, will: Will, attachment: &mut Attachment) -> bool {
        let message = EmitterPublish {
            payload: will.payload,
            qos: will.qos,
            retain: will.properties.retain,
        };
        self.send(&will.topic, message, attachment).await.is_ok()
    }

    /// Publishes to a channel.
    async fn send(
        &mut self,
        topic: &str,
        message: EmitterPublish,
        attachment: &mut Attachment,
    ) -> Result<(), NotPublished> {
        let draft = self.draft(topic, message, attachment)?;
        // Waited for at QoS 0 too: clients that read stored messages get those of one publisher in its order.
        attachment.publish(draft).await?;
        Ok(())
    }

    /// What is to be published, by the rights of its key.
    fn draft(
        &mut self,
        topic: &str,
        message: EmitterPublish,
        attachment: &mut Attachment,
    ) -> Result<Draft, Fault> {
        let topic = Topic::parse(topic)?;
        if topic.path.is_wild() {
            return Err(Fault::wildcard());
        }
        if topic.group.is_some() {
            return Err(Fault::bad("Messages are not published to a share group."));
        }
        let path = topic.path.as_str();
        let shown = self.show(topic.key, None, attachment);
        let channel = Channel::new(path).map_err(|error| Fault::bad(error.to_string()))?;
        let own = (!topic.options.wants_echo()).then(|| self.connection());
        Ok(Draft::new(channel, Payload::untyped(message.payload))
            .publisher(self.member.id.clone())
            .properties(qos_properties(message.qos))
            .except(own)
            .retention(retention(&topic.options, message.retain, &shown)))
    }

    /// Does what is requested, and answers on the topic of the request.
    async fn request(
        &mut self,
        name: &str,
        body: &[u8],
        id: Option<NonZeroU16>,
        attachment: &mut Attachment,
    ) {
        let answered = requests::answer(self, name, body, attachment).await;
        let mut answer = answered.unwrap_or_else(|fault| {
            let mut answer = fault.body();
            // SDKs look for it in everything that comes on this topic, and end where it is missing.
            if name == "presence" {
                let channel = requests::presence::channel_of(body);
                answer.insert("channel".into(), channel.into());
            }
            answer
        });
        if let Some(id) = id {
            answer.insert("req".into(), id.get().into());
        }
        self.answer(&format!("{REQUESTS}{name}/"), answer);
    }
}

/// The QoS of a message. At QoS 0 there is none: what is to be stored waits for sessions of MQTT like what other protocols
/// have stored.
fn qos_properties(qos: QoS) -> Option<JsonText> {
    match qos {
        QoS::AtMostOnce => None,
        qos => MessageProperties::of_qos(qos).write(),
    }
}

/// A message is stored when that is asked for and the key allows it.
fn retention(options: &Options, retain: bool, shown: &Shown) -> Retention {
    let ttl = options.ttl.filter(|ttl| *ttl > 0);
    if !(ttl.is_some() || retain) || !shown.stores {
        return Retention::NONE;
    }
    let secs = ttl.unwrap_or(RETAINED_SECS).min(TTL_SECS_MAX);
    Retention {
        store: true,
        ttl: Some(Duration::from_secs(secs)),
    }
}
