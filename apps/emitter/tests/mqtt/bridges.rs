//! Bridges say in the protocol level that they are (mosquitto does so): they get nothing back, and the retain bit as it was.

use crate::{
    client::{Client, Lasting, message_0, text},
    server,
};

#[tokio::test]
async fn a_bridge_gets_nothing_back_and_the_retain_bit() {
    let server = server().await;
    let (mut other, _) = Client::connect(server, "other", Lasting::No).await;
    other.subscribe("b/#", 0).await;
    let (mut bridge, answer) = Client::hail(server, 0x84, 2, 0, &text("bridge")).await;
    assert_eq!(answer, Some(vec![0, 0]));
    bridge.subscribe("b/#", 0).await;
    bridge.publish(0, false, 0, "b/1", "own").await;
    let (first, body) = other.packet().await;
    assert_eq!((first, message_0(&body).1), (0x30, "own".into()));
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    publisher.retain("b/2", "retained").await;
    publisher.publish(0, false, 0, "b/3", "not").await;
    // Nothing of its own came before.
    for (expected, payload) in [(0x31, "retained"), (0x30, "not")] {
        let (first, body) = bridge.packet().await;
        assert_eq!((first, message_0(&body).1), (expected, payload.into()));
    }
    // Others are told of no bit in what is published now.
    let (first, body) = other.packet().await;
    assert_eq!((first, message_0(&body).1), (0x30, "retained".into()));
}

#[tokio::test]
async fn a_bridge_is_not_kept_from_groups() {
    let server = server().await;
    let (mut bridge, _) = Client::hail(server, 0x84, 2, 0, &text("bridge")).await;
    bridge.subscribe("$share/g/b", 0).await;
    bridge.ping().await;
}
