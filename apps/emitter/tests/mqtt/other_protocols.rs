//! Messages of other protocols: those that are kept wait for sessions as messages of QoS 1 do; and what MQTT does alone stays
//! with MQTT.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use polywire_core::{
    AppRunner, Channel, ConnectionId, Draft, Identity, Kind, Origin, Payload, Query, Retention,
    Rules, Space, Span, Target,
    delivery::{Fanout, Receiver},
    testkit::{AllowAll, LocalBackend},
};
use polywire_emitter::Emitter;
use polywire_persistence::MemoryHistory;

use crate::{
    client::{Client, Lasting, message, message_0, text},
    start,
};

async fn keeping(emitter: Emitter) -> (SocketAddr, Arc<Space>) {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .persistence(MemoryHistory::new(Rules::default(), 1 << 20))
        .app(emitter);
    start(builder).await
}

fn draft(text: &'static str) -> Draft {
    Draft::new(Channel::new("a").unwrap(), Payload::text(text))
}

/// Publishes as another protocol does.
async fn publish(space: &Arc<Space>, draft: Draft) {
    let origin = Origin::new("other", Identity::unrestricted());
    space.publish(&origin, draft).await.unwrap();
}

/// A client with a subscription of QoS 1 goes away, and messages come: it comes back, and gets the last one, of MQTT.
async fn waits(server: SocketAddr, space: &Arc<Space>) -> Vec<String> {
    let (mut client, _) = Client::connect(server, "c", Lasting::Yes).await;
    client.subscribe("a", 1).await;
    client.send(0xe0, &[]).await;
    client.closed().await;
    publish(space, draft("kept")).await;
    publish(space, draft("not kept").retention(Retention::NONE)).await;
    let signal = draft("signal").kind(Kind::Signal);
    publish(space, signal.retention(Retention::NONE)).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    publisher.publish(0, false, 0, "a", "of QoS 0").await;
    publisher.publish(1, false, 1, "a", "last").await;
    publisher.expect_ack(0x40, 1).await;
    let (mut client, was_there) = Client::connect(server, "c", Lasting::Yes).await;
    assert!(was_there);
    let mut came = Vec::new();
    while came.last().is_none_or(|last| last != "last") {
        let (first, body) = client.packet().await;
        assert_eq!(first & 0xf6, 0x32, "QoS 1");
        let (_, id, payload) = message(&body);
        client.send_ack(0x40, id).await;
        came.push(payload);
    }
    came
}

#[tokio::test]
async fn what_is_kept_waits_for_a_session() {
    let (server, space) = keeping(Emitter::default()).await;
    assert_eq!(waits(server, &space).await, ["kept", "last"]);
}

#[tokio::test]
async fn a_setting_lets_it_wait_for_nobody() {
    let (server, space) = keeping(Emitter::default().other_protocols_qos(0)).await;
    assert_eq!(waits(server, &space).await, ["last"]);
}

#[tokio::test]
async fn where_nothing_is_kept_it_waits_for_nobody() {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .app(Emitter::default());
    let (server, space) = start(builder).await;
    assert_eq!(waits(server, &space).await, ["last"]);
}

/// What came to a receiver of another protocol.
struct Other(ConnectionId, Mutex<Vec<Kind>>);

impl Receiver for Other {
    fn connection(&self) -> ConnectionId {
        self.0
    }

    fn client(&self) -> Option<polywire_core::ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let kind = fanout.publication().kind.clone();
        self.1.lock().unwrap().push(kind);
    }
}

#[tokio::test]
async fn an_empty_retained_message_is_one_for_mqtt_alone() {
    let (server, space) = keeping(Emitter::default()).await;
    let other = Other(ConnectionId::next(space.hub().node()), Mutex::default());
    let other = Arc::new(other);
    let origin = Origin::new("other", Identity::unrestricted());
    let mut attachment = space.attach(origin, other.clone());
    attachment.join(Channel::new("a").unwrap()).await;
    let (mut client, _) = Client::connect(server, "c", Lasting::No).await;
    client.subscribe("a", 0).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    for what in ["something", ""] {
        let mut body = text("a");
        body.extend([0, 1]);
        body.extend(what.as_bytes());
        publisher.send(0x33, &body).await;
        publisher.expect_ack(0x40, 1).await;
        let (first, body) = client.packet().await;
        assert_eq!((first, message_0(&body)), (0x30, ("a".into(), what.into())));
    }
    let kinds = other.1.lock().unwrap().clone();
    let messages = kinds
        .iter()
        .filter(|kind| !matches!(kind, Kind::Presence(_)));
    assert_eq!(messages.collect::<Vec<_>>(), [&Kind::Message, &Kind::Clear]);
    let target = Target::from(Channel::new("a").unwrap());
    let history = space.history().unwrap();
    let page = history.read(&target, &Query::new(Span::ALL, 10)).await;
    assert_eq!(page.unwrap().entries.len(), 1, "it is not kept");
    // Nothing is retained any more.
    let (mut late, _) = Client::connect(server, "late", Lasting::No).await;
    late.subscribe("a", 0).await;
    late.ping().await;
}
