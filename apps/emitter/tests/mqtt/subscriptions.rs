//! A connection may have thousands of subscriptions: what bounds them is what they take.

use polywire_core::{
    AppRunner,
    testkit::{AllowAll, LocalBackend},
};
use polywire_emitter::Emitter;

use crate::{
    client::{Client, Hello, Lasting, V5, message, text},
    start,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_filters_are_taken_and_find_their_messages() {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .app(Emitter::default());
    let (server, _) = start(builder).await;
    let (mut client, _) = Client::connect(server, "hub", Lasting::No).await;
    for packet in 0..60 {
        let mut body = vec![1, packet];
        for n in 0..50 {
            let wild = if n % 10 == 0 { "+" } else { "state" };
            body.extend(text(&format!("home/{packet}/{n}/{wild}")));
            body.push(1);
        }
        client.send(0x82, &body).await;
        let (first, answer) = client.packet().await;
        assert_eq!((first, &answer[2..]), (0x90, &[1; 50][..]));
    }
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    for (topic, comes) in [
        ("home/0/0/x", true),
        ("home/59/49/x", false),
        ("home/59/49/state", true),
    ] {
        publisher.publish(1, false, 3, topic, topic).await;
        publisher.expect_ack(0x40, 3).await;
        if comes {
            let (_, body) = client.packet().await;
            let (found, id, _) = message(&body);
            assert_eq!(found, topic);
            client.send_ack(0x40, id).await;
        }
    }
    client.ping().await;
}

#[tokio::test]
async fn who_has_no_room_for_more_is_told_so() {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .app(Emitter::default().subscription_bytes_max(4 << 10));
    let (server, space) = start(builder).await;
    let hello = Hello {
        level: V5,
        ..Hello::default()
    };
    let (mut client, _) = Client::enter(server, &hello).await;
    for n in 0..7 {
        client.subscribe(&format!("a/{n}"), 0).await;
    }
    let body = [&[0, 1, 0][..], &text("a/7"), &[0]].concat();
    client.send(0x82, &body).await;
    let (first, answer) = client.packet().await;
    assert_eq!((first, *answer.last().unwrap()), (0x90, 0x97));
    let words = String::from_utf8_lossy(&answer).into_owned();
    assert!(words.contains("unsubscribe from some"), "{words}");
    let counters = space.runtime().counters();
    let refused = counters.of("emitter", "subscription beyond those of one connection");
    assert_eq!(refused.count(), 1);
    // The same again, or less, is no more.
    client.subscribe("a/0", 1).await;
    let body = [&[0, 1, 0][..], &text("a/0")].concat();
    client.send(0xa2, &body).await;
    assert_eq!(client.packet().await.0, 0xb0);
    client.subscribe("a/7", 0).await;
    let (mut earlier, _) = Client::connect(server, "other", Lasting::No).await;
    for n in 0..7 {
        earlier.subscribe(&format!("a/{n}"), 0).await;
    }
    assert_eq!(earlier.ask_to_subscribe("a/7", 0).await, 0x80);
}

/// Packets that come together are answered together, each in its place, and what is retained for them follows.
#[tokio::test]
async fn what_is_subscribed_to_together_is_answered_in_order() {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .app(Emitter::default());
    let (server, _) = start(builder).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    for n in 0..3 {
        publisher.retain(&format!("t/{n}"), &n.to_string()).await;
    }
    let (mut client, _) = Client::connect(server, "hub", Lasting::Yes).await;
    let mut together = Vec::new();
    for n in 0..3 {
        together.extend([0x82, 8, 0, n + 1]);
        together.extend(text(&format!("t/{n}")));
        together.push(1);
    }
    together.extend([0xa2, 7, 0, 4]);
    together.extend(text("t/1"));
    together.extend([0xc0, 0]);
    client.send_raw(&together).await;
    for n in 0..3 {
        assert_eq!(client.packet().await, (0x90, vec![0, n + 1, 1]));
    }
    assert_eq!(client.packet().await, (0xb0, vec![0, 4]));
    // It was left before anything was sent for it.
    for n in [0, 2] {
        let (first, body) = client.packet().await;
        assert_eq!((first, message(&body).0), (0x33, format!("t/{n}")));
    }
    assert_eq!(client.packet().await, (0xd0, vec![]));
}
