//! What the standard says of small things.

use std::time::{Duration, Instant};

use polywire_core::{
    AppRunner,
    testkit::{AllowAll, LocalBackend},
};

use crate::{
    client::{Client, Hello, Lasting, V3, V5, text},
    keys, server, start,
};

#[tokio::test]
async fn an_empty_client_id_is_assigned_one_in_5() {
    let server = server().await;
    for flags in [0, 2] {
        // No properties, and no client id.
        let (mut client, answer) = Client::hail(server, V5, flags, 0, &[0, 0, 0]).await;
        let answer = answer.unwrap();
        assert_eq!(answer[..2], [0, 0]);
        // Assigned client identifier.
        assert!(
            answer.windows(3).any(|bytes| bytes == [0x12, 0, 22]),
            "{answer:?}"
        );
        client.ping().await;
    }
    let (_, answer) = Client::hail(server, V3, 0, 0, &[0, 0]).await;
    assert_eq!(answer, Some(vec![0, 2]), "3.1.1 has no way to tell it");
}

#[tokio::test]
async fn a_password_needs_a_user_name_in_3() {
    let server = server().await;
    let (_, answer) = Client::hail(server, V3, 0x42, 0, &[text("c"), text("p")].concat()).await;
    assert_eq!(answer, None);
    let rest = [&[0][..], &text("c"), &text("p")].concat();
    let (_, answer) = Client::hail(server, V5, 0x42, 0, &rest).await;
    assert!(answer.is_some());
}

#[tokio::test]
async fn what_the_standard_forbids_closes() {
    let server = server().await;
    for (level, first, body, reason) in [
        (V3, 0x82, &[0, 1, 0, 1, b'a', 4][..], 0),
        (V3, 0x38, &[0, 1, b'a', b'x'], 0),
        (V5, 0x38, &[0, 1, b'a', 0, b'x'], 0x81),
        (V5, 0x82, &[0, 1, 2, 0x0b, 0, 0, 1, b'a', 0], 0x82),
    ] {
        let hello = Hello {
            level,
            ..Hello::default()
        };
        let (mut client, _) = Client::enter(server, &hello).await;
        client.send(first, body).await;
        if level == V5 {
            let (first, body) = client.packet().await;
            assert_eq!((first, body[0]), (0xe0, reason));
        }
        client.closed().await;
    }
}

#[tokio::test]
async fn a_keep_alive_of_a_second_ends_not_before_one_and_a_half() {
    let server = server().await;
    let begun = Instant::now();
    let (mut client, _) = Client::hail(server, V3, 2, 1, &text("c")).await;
    client.closed().await;
    // How late it may be is a matter of the machine.
    assert!(begun.elapsed() >= Duration::from_millis(1500));
}

#[tokio::test]
async fn topic_aliases_end_with_a_takeover() {
    let server = server().await;
    let hello = Hello {
        level: V5,
        lasting: Lasting::Yes,
        ..Hello::default()
    };
    let (mut earlier, _) = Client::enter(server, &hello).await;
    let publish = |topic: &str| [&text(topic)[..], &[3, 0x23, 0, 1], b"x"].concat();
    earlier.send(0x30, &publish("a")).await;
    earlier.send(0x30, &publish("")).await;
    earlier.ping().await;
    // The earlier connection is still there.
    let (mut later, was_there) = Client::enter(server, &hello).await;
    assert!(was_there);
    later.send(0x30, &publish("")).await;
    let (first, body) = later.packet().await;
    assert_eq!((first, body[0]), (0xe0, 0x94));
    let _ = earlier.next().await;
}

#[tokio::test]
async fn no_local_holds_with_keys() {
    let builder = AppRunner::builder(LocalBackend::default()).authentication(AllowAll);
    let (server, _) = start(builder.app(keys::app())).await;
    let key = keys::key("a/#/", "rw");
    let hello = |id| Hello {
        level: V5,
        id,
        ..Hello::default()
    };
    let (mut client, _) = Client::enter(server, &hello("one")).await;
    // No local, QoS 0.
    let body = [&[0, 1, 0][..], &text(&format!("{key}/a/b/")), &[4]].concat();
    client.send(0x82, &body).await;
    assert_eq!(client.packet().await.0, 0x90);
    let (mut other, _) = Client::enter(server, &hello("other")).await;
    other.subscribe(&format!("{key}/a/b/"), 0).await;
    let topic = format!("{key}/a/b/");
    client.publish(0, false, 0, &topic, "own").await;
    other.publish(0, false, 0, &topic, "other").await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(other.packet().await.1);
    }
    assert!(seen.iter().any(|body| body.ends_with(b"own")));
    let (_, body) = client.packet().await;
    assert!(body.ends_with(b"other"), "{body:?}");
    client.ping().await;
}
