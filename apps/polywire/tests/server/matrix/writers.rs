//! Ways to publish: what is kept differs between them.

use serde_json::{Value, json};

use super::Protocol;

/// A way to publish.
pub(super) struct Writer {
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    /// What the agent is asked for.
    pub(super) what: &'static str,
    /// With which options.
    pub(super) more: Value,
}

/// Those that reach others.
pub(super) fn all() -> Vec<Writer> {
    let writer = |name, protocol, what, more| Writer {
        name,
        protocol,
        what,
        more,
    };
    let publish = |name, protocol, more| writer(name, protocol, "publish", more);
    vec![
        publish("PubNub", Protocol::PubNub, json!({})),
        writer("PubNub, a signal", Protocol::PubNub, "signal", json!({})),
        publish("Azure Web PubSub", Protocol::WebPubSub, json!({})),
        publish("MQTT, QoS 0", Protocol::Mqtt, json!({"qos": 0})),
        publish("MQTT, QoS 1", Protocol::Mqtt, json!({"qos": 1})),
        publish("Emitter", Protocol::Emitter, json!({})),
        publish("Emitter, `ttl`", Protocol::Emitter, json!({"ttl": 60})),
        publish("Seth-Pusher", Protocol::Seth, json!({})),
        publish("kn-sock", Protocol::KnSock, json!({})),
    ]
}

/// Those that leave something behind, or are said to leave nothing.
pub(super) fn of_history() -> Vec<Writer> {
    let mut writers = all();
    writers.extend([
        Writer {
            name: "PubNub, `fire`",
            protocol: Protocol::PubNub,
            what: "fire",
            more: json!({}),
        },
        Writer {
            name: RETAINED,
            protocol: Protocol::Mqtt,
            what: "publish",
            more: json!({"retain": true}),
        },
        Writer {
            name: EMPTIED,
            protocol: Protocol::Mqtt,
            what: "publish",
            more: json!({"retain": true}),
        },
        Writer {
            name: DELETED,
            protocol: Protocol::Mqtt,
            what: "publish",
            more: json!({"retain": true}),
        },
    ]);
    writers
}

pub(super) const RETAINED: &str = "MQTT, retained";
/// An empty message takes the retained one away.
pub(super) const EMPTIED: &str = "MQTT, retained, and then an empty one";
/// A client of PubNub deletes the history of the channel.
pub(super) const DELETED: &str = "MQTT, retained, and then history is deleted by PubNub";

impl Writer {
    /// The request that publishes JSON on a channel.
    pub(super) fn request(&self, channel: &str, data: &Value) -> Value {
        let mut request = json!({"channel": channel, "sort": "json", "data": data});
        let more = self.more.as_object().unwrap().clone();
        request.as_object_mut().unwrap().extend(more);
        request
    }
}
