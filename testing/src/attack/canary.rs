//! Canaries: well-behaved clients, one of each protocol, that measure how long a round trip takes.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::peers::{
    HttpConnection, LineSocket, MqttClient, WebSocketClient,
    azure::{self, AzureClient},
};

/// Between two round trips.
const PAUSE: Duration = Duration::from_millis(5);

/// A well-behaved client.
pub struct Canary {
    /// Its protocol.
    pub name: &'static str,
    round_trip: Box<dyn FnMut() -> bool + Send>,
}

impl Canary {
    fn new(name: &'static str, round_trip: impl FnMut() -> bool + Send + 'static) -> Self {
        Self {
            name,
            round_trip: Box::new(round_trip),
        }
    }

    /// Publishes something and waits until it comes. False when the server has no room for it, and says so.
    pub fn round_trip(&mut self) -> bool {
        (self.round_trip)()
    }
}

impl std::fmt::Debug for Canary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// One of each protocol, connected.
pub fn canaries(server: SocketAddr) -> Vec<Canary> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("canary-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let topic = format!("{name}-knsock");
    let mut lines = LineSocket::subscribed(server, &topic);
    let (mut mqtt, _) = MqttClient::connect(server, &name);
    let filter = format!("{name}-mqtt");
    mqtt.subscribe(&filter);
    let mut seth = WebSocketClient::open(server, "/connect/websocket");
    seth.send(&json!({"type": "connect", "subscriber_id": name}));
    seth.settle();
    let claims = json!({"role": ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]});
    let (mut azure, _) = AzureClient::open(server, azure::JSON, &claims);
    let group = format!("{name}-azure");
    azure.done(&json!({"type": "joinGroup", "group": group, "ackId": 1}));
    let mut acks = 1;
    let mut pubnub = HttpConnection::open(server);
    let channel = format!("{name}-pubnub");
    let mut cursor = "0".to_owned();
    vec![
        Canary::new("kn-sock", move || {
            lines.publish(&topic, "x");
            lines.expect(&topic, "x");
            true
        }),
        Canary::new("MQTT", move || {
            mqtt.round_trip(&filter, "x");
            true
        }),
        Canary::new("Seth-Pusher", move || {
            seth.settle();
            true
        }),
        Canary::new("Azure Web PubSub", move || {
            acks += 1;
            azure.send(&json!({
                "type": "sendToGroup", "group": group, "ackId": acks, "dataType": "text", "data": "x"
            }));
            let both = [azure.receive(), azure.receive()];
            assert!(
                both.iter().any(|frame| frame["type"] == "message"),
                "{both:?}"
            );
            true
        }),
        Canary::new("PubNub", move || {
            let mut get = |target: &str| {
                let answer = pubnub.request("GET", target, &[], None);
                (!matches!(answer.status, 429 | 503)).then(|| answer.json())
            };
            let mut round_trip = || {
                if cursor == "0" {
                    let first = get(&format!("/v2/subscribe/demo/{channel}/0?uuid=c&tt=0"))?;
                    cursor = first["t"]["t"].as_str()?.to_owned();
                }
                let sent = get(&format!("/publish/demo/demo/0/{channel}/0/1?uuid=c"))?;
                assert_eq!(sent[0], 1, "{sent}");
                let got = get(&format!(
                    "/v2/subscribe/demo/{channel}/0?uuid=c&tt={cursor}"
                ))?;
                assert!(
                    got["m"]
                        .as_array()
                        .is_some_and(|messages| !messages.is_empty()),
                    "{got}"
                );
                cursor = got["t"]["t"].as_str()?.to_owned();
                Some(())
            };
            round_trip().is_some()
        }),
    ]
}

/// How long round trips took, in order of length.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    served: Vec<Duration>,
    /// Round trips that the server had no room for, and said so.
    pub refused: usize,
}

impl Latencies {
    /// The time within which so many of a thousand came back.
    pub fn per_mille(&self, share: usize) -> Duration {
        let last = self.served.len().saturating_sub(1);
        let at = (self.served.len() * share / 1000).min(last);
        self.served.get(at).copied().unwrap_or_default()
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.served.last().copied().unwrap_or_default()
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.served.len()
    }
}

/// Has each canary make round trips for so long, all at the same time.
pub fn measure(canaries: &mut [Canary], time: Duration) -> Vec<(&'static str, Latencies)> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = canaries
            .iter_mut()
            .map(|canary| {
                scope.spawn(move || {
                    let mut latencies = Latencies::default();
                    while start.elapsed() < time {
                        let sent = Instant::now();
                        if canary.round_trip() {
                            latencies.served.push(sent.elapsed());
                        } else {
                            latencies.refused += 1;
                        }
                        std::thread::park_timeout(PAUSE);
                    }
                    latencies.served.sort_unstable();
                    (canary.name, latencies)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the canary lives"))
            .collect()
    })
}
