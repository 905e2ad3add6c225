//! `emitter/link/`: short names for topics.

use polywire_core::space::Attachment;
use rmqtt_codec::{types::QoS, v5::RetainHandling};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    codec::{filter::SubscriptionOptions, incoming::SubscribeRequest},
    emitter_mode::{fault::Fault, session::EmitterSession, topic::Topic},
};

#[derive(Deserialize)]
pub(super) struct Body {
    key: String,
    channel: String,
    name: String,
    #[serde(default)]
    subscribe: bool,
}

/// What a topic may have besides its channel: a key and options.
const BYTES_MORE: usize = 1024;

pub(super) async fn answer(
    session: &mut EmitterSession,
    body: Body,
    attachment: &mut Attachment,
) -> Result<Value, Fault> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric();
    if !matches!(body.name.len(), 1 | 2) || !body.name.bytes().all(is_name) {
        return Err(Fault::bad(
            "The name of a link has one or two letters or digits.",
        ));
    }
    let filter = format!("{}/{}", body.key, body.channel);
    if filter.len() > session.context.broker.space.limits().name_bytes_max + BYTES_MORE {
        return Err(Fault::bad("The channel is too long."));
    }
    let topic = Topic::parse(&filter)?;
    if topic.key != body.key {
        return Err(Fault::bad("The key has a slash."));
    }
    if body.subscribe {
        let asked = SubscribeRequest {
            filter: filter.as_str().into(),
            options: SubscriptionOptions::of_qos(QoS::AtMostOnce),
            retained: RetainHandling::NoAtSubscribe,
        };
        // Without the right to, the link is made all the same.
        let _ = session.join(&topic, &asked, attachment, false).await;
    }
    let answer = json!({"status": 200, "name": body.name, "channel": body.channel});
    session.links.insert(body.name, (body.key, body.channel));
    Ok(answer)
}
