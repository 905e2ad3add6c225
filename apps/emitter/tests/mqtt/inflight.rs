//! What a client has not confirmed, and what waits for it.

use crate::{
    client::{Client, Lasting, message},
    server,
};

#[tokio::test]
async fn what_was_not_confirmed_comes_again_and_then_what_waited() {
    let server = server().await;
    let (mut subscriber, _) = Client::connect(server, "s", Lasting::Yes).await;
    subscriber.subscribe("a", 1).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    let mut publish = async |id: u16, what: &str| {
        publisher.publish(1, false, id, "a", what).await;
        publisher.expect_ack(0x40, id).await;
    };
    publish(1, "confirmed").await;
    publish(2, "sent").await;
    let (_, body) = subscriber.packet().await;
    let (_, confirmed, _) = message(&body);
    let (first, body) = subscriber.packet().await;
    assert_eq!(first, 0x32);
    let (_, sent, _) = message(&body);
    subscriber.send_ack(0x40, confirmed).await;
    subscriber.ping().await;
    subscriber.send(0xe0, &[]).await;
    subscriber.closed().await;
    publish(3, "waits").await;
    let (mut subscriber, was_there) = Client::connect(server, "s", Lasting::Yes).await;
    assert!(was_there);
    let (first, body) = subscriber.packet().await;
    assert_eq!(first, 0x3a, "it may have come before");
    assert_eq!(message(&body), ("a".into(), sent, "sent".into()));
    let (first, body) = subscriber.packet().await;
    assert_eq!((first, &*message(&body).2), (0x32, "waits"));
    subscriber.ping().await;
}
