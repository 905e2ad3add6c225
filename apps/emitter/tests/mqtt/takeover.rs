//! Take-over: a client id has one connection (MQTT 3.1.1 section 3.1.4).

use crate::{
    client::{Client, Lasting, message},
    server,
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
