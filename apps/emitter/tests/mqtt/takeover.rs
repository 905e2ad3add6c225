//! Take-over: a client id has one connection (MQTT 3.1.1 section 3.1.4).

use polywire_core::{
    AppRunner, Channel, Draft, Identity, Origin, Payload,
    testkit::{AllowAll, Bus},
};
use polywire_emitter::Emitter;

use crate::{
    client::{Client, Lasting, message},
    server, start,
};

#[tokio::test]
async fn the_newest_connection_gets_the_session() {
    let server = server().await;
    let (mut first, was_there) = Client::connect(server, "c", Lasting::Yes).await;
    assert!(!was_there);
    first.subscribe("a", 1).await;
    let (mut second, was_there) = Client::connect(server, "c", Lasting::Yes).await;
    assert!(was_there);
    first.closed().await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    publisher.publish(1, false, 1, "a", "for the second").await;
    publisher.expect_ack(0x40, 1).await;
    let (_, body) = second.packet().await;
    assert_eq!(message(&body).2, "for the second");
}

#[tokio::test]
async fn a_session_that_ends_with_its_connection_ends_with_a_takeover() {
    let server = server().await;
    let (mut first, _) = Client::connect(server, "c", Lasting::No).await;
    first.subscribe("a", 1).await;
    let (mut second, was_there) = Client::connect(server, "c", Lasting::Yes).await;
    assert!(!was_there);
    first.closed().await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    publisher.publish(1, false, 1, "a", "for nobody").await;
    publisher.expect_ack(0x40, 1).await;
    second.ping().await;
}

#[tokio::test]
async fn the_will_of_who_is_taken_over_is_published() {
    let server = server().await;
    let (mut watcher, _) = Client::connect(server, "w", Lasting::No).await;
    watcher.subscribe("wills", 0).await;
    let will = Some(("wills", "lost"));
    let (mut first, _) = Client::connect_with(server, "c", Lasting::Yes, will).await;
    let (mut second, _) = Client::connect_with(server, "c", Lasting::Yes, will).await;
    first.closed().await;
    assert_eq!(watcher.packet().await, (0x30, b"\0\x05willslost".to_vec()));
    second.send(0xe0, &[]).await;
    second.closed().await;
    watcher.ping().await;
}

/// MQTT has no other words for it.
#[tokio::test]
async fn a_session_that_messages_were_lost_for_is_not_there_any_more() {
    let bus = Bus::default();
    let node = || {
        let builder = AppRunner::builder(bus.node()).authentication(AllowAll);
        start(builder.app(Emitter::default()))
    };
    let ((here, space), (_, there)) = (node().await, node().await);
    for (id, filter, qos) in [
        ("lost", "a/#", 1),
        ("whole", "b/#", 1),
        ("careless", "a/#", 0),
    ] {
        let (mut client, was_there) = Client::connect(here, id, Lasting::Yes).await;
        assert!(!was_there);
        client.subscribe(filter, qos).await;
        client.send(0xe0, &[]).await;
        client.closed().await;
    }
    bus.cut(space.hub().node());
    let draft = Draft::new(Channel::new("a/b").unwrap(), Payload::text("missed"));
    let origin = Origin::new("test", Identity::unrestricted());
    there.publish(&origin, draft).await.unwrap();
    bus.mend(space.hub().node());
    for (id, is_there) in [("lost", false), ("whole", true), ("careless", true)] {
        let (_client, was_there) = Client::connect(here, id, Lasting::Yes).await;
        assert_eq!(was_there, is_there, "{id}");
    }
    let counters = space.runtime().counters().all();
    let mut anew = counters
        .iter()
        .filter(|counter| counter.reason().contains("messages for it were lost"));
    assert_eq!(anew.next().unwrap().count(), 1);
}

#[tokio::test]
async fn who_is_there_when_messages_for_its_session_are_lost_is_disconnected_and_finds_no_session()
{
    let bus = Bus::default();
    let node = || {
        let builder = AppRunner::builder(bus.node()).authentication(AllowAll);
        start(builder.app(Emitter::default()))
    };
    let ((here, space), (_, there)) = (node().await, node().await);
    let mut clients = Vec::new();
    for (id, filter, qos) in [
        ("lost", "a/#", 1),
        ("whole", "b/#", 1),
        ("careless", "a/#", 0),
    ] {
        let (mut client, _) = Client::connect(here, id, Lasting::Yes).await;
        client.subscribe(filter, qos).await;
        clients.push(client);
    }
    bus.cut(space.hub().node());
    let draft = Draft::new(Channel::new("a/b").unwrap(), Payload::text("missed"));
    let origin = Origin::new("test", Identity::unrestricted());
    there.publish(&origin, draft).await.unwrap();
    bus.mend(space.hub().node());
    clients[0].closed().await;
    for others in &mut clients[1..] {
        others.ping().await;
    }
    let (_client, was_there) = Client::connect(here, "lost", Lasting::Yes).await;
    assert!(!was_there);
}
