//! Presence of clients of plain MQTT, as clients of other protocols see it.

use std::{net::SocketAddr, sync::Arc};

use polywire_core::{
    AppRunner, Channel, Identity, Kind, Origin, PresenceAction, Space,
    space::Attachment,
    testkit::{AllowAll, Bus, Recorder, until},
};
use polywire_emitter::Emitter;

use crate::{
    client::{Client, Hello, Lasting},
    start,
};

async fn node(bus: &Bus) -> (SocketAddr, Arc<Space>) {
    let builder = AppRunner::builder(bus.node());
    start(builder.authentication(AllowAll).app(Emitter::default())).await
}

/// Who is present on a channel, with their states.
fn members(space: &Space, channel: &str) -> Vec<(String, Option<String>)> {
    let channel = Channel::new(channel).unwrap();
    let members = space.presence().members(&channel).into_iter();
    let described = members.map(|member| {
        let state = member.state.map(|state| state.as_str().to_owned());
        (member.client.to_string(), state)
    });
    described.collect()
}

/// Hears what is told on a channel.
async fn watcher(space: &Arc<Space>, channel: &str) -> (Attachment, Arc<Recorder>) {
    let recorder = Recorder::new(space.hub().node());
    let origin = Origin::new("test", Identity::unrestricted());
    let mut attachment = space.attach(origin, recorder.clone());
    attachment.join(Channel::new(channel).unwrap()).await;
    (attachment, recorder)
}

/// The first so many things that are told, and how many were there then.
async fn told(recorder: &Recorder, count: usize) -> Vec<(PresenceAction, String, usize)> {
    let told = recorder.wait_for(count).await.into_iter();
    let told = told.map(|publication| match &publication.kind {
        Kind::Presence(event) => {
            let client = event.client.clone().unwrap().to_string();
            (event.action, client, event.occupancy)
        }
        other => panic!("{other:?}"),
    });
    told.collect()
}

#[tokio::test]
async fn a_client_is_present_on_topics_while_it_is_connected() {
    let (server, space) = node(&Bus::default()).await;
    let (_attachment, recorder) = watcher(&space, "a").await;
    let hello = Hello {
        id: "sensor",
        login: Some(("ann", "x")),
        lasting: Lasting::Yes,
        ..Hello::default()
    };
    let (mut client, _) = Client::enter(server, &hello).await;
    for filter in [
        "a",
        "wild/+",
        "$other/a",
        "$SYS/broker/uptime",
        "$share/g/b",
    ] {
        client.ask_to_subscribe(filter, 1).await;
    }
    let state = Some(r#"{"username":"ann"}"#.to_owned());
    assert_eq!(members(&space, "a"), [("sensor".to_owned(), state)]);
    for nowhere in ["wild/+", "$other/a", "$SYS/broker/uptime", "b"] {
        assert_eq!(members(&space, nowhere), [], "{nowhere}");
    }
    // Again is no news.
    client.subscribe("a", 0).await;
    client.send(0xe0, &[]).await;
    client.closed().await;
    until("it is away", || members(&space, "a").is_empty()).await;
    // Its session waits for it.
    let (mut client, was_there) = Client::enter(server, &hello).await;
    assert!(was_there);
    assert_eq!(members(&space, "a").len(), 1);
    client.send(0xa2, b"\0\x09\0\x01a").await;
    assert_eq!(client.packet().await.0, 0xb0);
    assert_eq!(members(&space, "a"), []);
    use PresenceAction::{Disconnect, Join, Leave};
    let expected = [(Join, 1), (Disconnect, 0), (Join, 1), (Leave, 0)];
    let expected = expected.map(|(action, count)| (action, "sensor".to_owned(), count));
    assert_eq!(told(&recorder, 4).await, expected);
}

#[tokio::test]
async fn a_client_on_two_nodes_comes_once_and_goes_once() {
    let bus = Bus::default();
    let ((here, left), (there, right)) = (node(&bus).await, node(&bus).await);
    let (_attachment, recorder) = watcher(&right, "a").await;
    let (mut mqtt, _) = Client::connect(here, "ann", Lasting::No).await;
    mqtt.subscribe("a", 0).await;
    until("the other node knows", || members(&right, "a").len() == 1).await;
    // The same id by another protocol, on the other node.
    let other = Recorder::new(right.hub().node());
    let origin = Origin::new("other", Identity::unrestricted());
    let mut attachment = right.attach(origin, other);
    attachment
        .connect(polywire_core::ClientId::new("ann").unwrap())
        .await;
    attachment.join(Channel::new("a").unwrap()).await;
    right.presence_told().await;
    mqtt.send(0xe0, &[]).await;
    mqtt.closed().await;
    // Somebody else comes and goes: what was told before has arrived.
    let (mut bob, _) = Client::connect(there, "bob", Lasting::No).await;
    bob.subscribe("a", 0).await;
    until("all know", || members(&left, "a").len() == 2).await;
    drop(attachment);
    until("she is gone", || members(&left, "a").len() == 1).await;
    use PresenceAction::{Disconnect, Join};
    let expected = [
        (Join, "ann".to_owned(), 1),
        (Join, "bob".to_owned(), 2),
        (Disconnect, "ann".to_owned(), 1),
    ];
    assert_eq!(told(&recorder, 3).await, expected);
}
