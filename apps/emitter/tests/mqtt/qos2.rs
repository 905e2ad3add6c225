//! QoS 2: each message once (MQTT 3.1.1 section 4.3.3).

use crate::{
    client::{Client, Lasting, message},
    server,
};

const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

/// The next messages, each with its end.
async fn receive<const N: usize>(client: &mut Client) -> [String; N] {
    let (mut found, mut ended) = (Vec::new(), 0);
    while ended < N {
        let (first, body) = client.packet().await;
        if first == PUBREL {
            client.send(PUBCOMP, &body).await;
            ended += 1;
        } else {
            assert_eq!(first & 0xf6, 0x34, "PUBLISH of QoS 2");
            let (_, id, payload) = message(&body);
            client.send_ack(PUBREC, id).await;
            found.push(payload);
        }
    }
    found.try_into().unwrap()
}

#[tokio::test]
async fn a_message_that_comes_again_before_pubrel_is_published_once() {
    let server = server().await;
    let (mut subscriber, _) = Client::connect(server, "s", Lasting::No).await;
    subscriber.subscribe("a", 2).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    publisher.publish(2, false, 7, "a", "first").await;
    publisher.expect_ack(PUBREC, 7).await;
    publisher.publish(2, true, 7, "a", "first").await;
    publisher.expect_ack(PUBREC, 7).await;
    publisher.send_ack(PUBREL, 7).await;
    publisher.expect_ack(PUBCOMP, 7).await;
    // The id is free again.
    publisher.publish(2, false, 7, "a", "second").await;
    publisher.expect_ack(PUBREC, 7).await;
    assert_eq!(receive(&mut subscriber).await, ["first", "second"]);
    subscriber.ping().await;
}

#[tokio::test]
async fn a_message_that_comes_again_over_another_connection_is_published_once() {
    let server = server().await;
    let (mut subscriber, _) = Client::connect(server, "s", Lasting::No).await;
    subscriber.subscribe("a", 2).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::Yes).await;
    publisher.publish(2, false, 7, "a", "first").await;
    publisher.expect_ack(PUBREC, 7).await;
    drop(publisher);
    let (mut publisher, was_there) = Client::connect(server, "p", Lasting::Yes).await;
    assert!(was_there);
    publisher.publish(2, true, 7, "a", "first").await;
    publisher.expect_ack(PUBREC, 7).await;
    for _ in 0..2 {
        // One that was released before is no fault.
        publisher.send_ack(PUBREL, 7).await;
        publisher.expect_ack(PUBCOMP, 7).await;
    }
    publisher.publish(2, false, 8, "a", "second").await;
    publisher.expect_ack(PUBREC, 8).await;
    assert_eq!(receive(&mut subscriber).await, ["first", "second"]);
}

#[tokio::test]
async fn pubrel_comes_again_over_the_next_connection_and_the_message_does_not() {
    let server = server().await;
    let (mut subscriber, _) = Client::connect(server, "s", Lasting::Yes).await;
    subscriber.subscribe("a", 2).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    publisher.publish(2, false, 7, "a", "first").await;
    publisher.expect_ack(PUBREC, 7).await;
    let (_, body) = subscriber.packet().await;
    let (_, id, _) = message(&body);
    subscriber.send_ack(PUBREC, id).await;
    subscriber.expect_ack(PUBREL, id).await;
    drop(subscriber);
    let (mut subscriber, _) = Client::connect(server, "s", Lasting::Yes).await;
    subscriber.expect_ack(PUBREL, id).await;
    subscriber.send_ack(PUBCOMP, id).await;
    subscriber.ping().await;
}
