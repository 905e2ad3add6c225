//! Redis streams on a real server.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polywire_core::{
    Channel, ClientId, Draft, Payload, PersistenceError, PersistencePolicy, Position, Publication,
    testkit::{self, RedisServer, RedisServerOptions, until},
};
use polywire_persistence::{RedisStream, RedisStreamSettings};

fn settings(server: &RedisServer) -> RedisStreamSettings {
    RedisStreamSettings {
        response_timeout_ms: 500,
        ..RedisStreamSettings::url(server.url())
    }
}

fn publication(text: &str) -> Arc<Publication> {
    let room = Channel::new("room").unwrap();
    let draft = Draft::new(room, Payload::text(text.to_owned()));
    Arc::new(draft.at(Position::default()))
}

/// The entries of a stream.
async fn entries(server: &RedisServer, key: &str) -> Vec<String> {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let entries: Vec<(String, Vec<(String, String)>)> = redis::cmd("XRANGE")
        .arg(key)
        .arg("-")
        .arg("+")
        .query_async(&mut connection)
        .await
        .unwrap();
    let fields = entries.into_iter().flat_map(|(_, fields)| fields);
    fields
        .map(|(name, value)| {
            assert_eq!(name, "data");
            value
        })
        .collect()
}

#[tokio::test]
async fn keeps_the_laws_whether_or_not_redis_is_there() {
    let server = RedisServer::start().await;
    testkit::persistence_laws(|| RedisStream::new(settings(&server)).unwrap()).await;
    assert!(
        !entries(&server, "polywire:stream:user:testkit-client")
            .await
            .is_empty()
    );
    let away = RedisServer::reserve(RedisServerOptions::default());
    testkit::persistence_laws(|| RedisStream::new(settings(&away)).unwrap()).await;
}

#[tokio::test]
async fn appends_in_order_to_a_capped_stream_under_its_prefix() {
    let server = RedisServer::start().await;
    let mut settings = settings(&server).prefix("log:");
    settings.stream_entries_max = 100;
    let policy = RedisStream::new(settings).unwrap();
    for n in 0..1000 {
        policy.persist(&publication(&n.to_string())).await.unwrap();
    }
    let ann = ClientId::new("ann").unwrap();
    let private = Draft::new(ann, Payload::text("hi")).at(Position::default());
    policy.persist(&private.into()).await.unwrap();
    policy.stop().await;
    let kept = entries(&server, "log:channel:room").await;
    // About as many as asked for: Redis drops whole nodes of a stream, of 100 entries each.
    assert!((100..=300).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap(), r#"{"data":"999","channel":"room"}"#);
    assert_eq!(
        entries(&server, "log:user:ann").await,
        [r#"{"data":"hi","user":"ann"}"#]
    );
    assert_eq!(policy.lost(), 0);
}

#[tokio::test]
async fn waits_for_a_server_that_is_away_and_drops_what_finds_the_queue_full() {
    let mut server = RedisServer::reserve(RedisServerOptions::default());
    let mut small = settings(&server);
    small.queue_entries_max = 100;
    let policy = RedisStream::new(small).unwrap();
    let start = Instant::now();
    for n in 0..300 {
        // Whether it finds room is counted below.
        let _ = policy.persist(&publication(&n.to_string())).await;
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    let lost = policy.lost();
    assert!(lost > 0);
    server.restart().await;
    let kept = 300 - usize::try_from(lost).unwrap();
    let start = Instant::now();
    while entries(&server, "polywire:stream:channel:room").await.len() < kept {
        assert!(start.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // The same with a server that hangs, and one that comes back empty.
    server.pause();
    policy.persist(&publication("hangs")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.restart().await;
    policy.persist(&publication("again")).await.unwrap();
    policy.stop().await;
    assert_eq!(
        entries(&server, "polywire:stream:channel:room").await.len(),
        2
    );
    assert_eq!(policy.lost(), lost);
}

#[tokio::test]
async fn what_redis_refuses_is_lost_and_the_rest_is_not() {
    let server = RedisServer::start().await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("SET")
        .arg("polywire:stream:channel:room")
        .arg("not a stream")
        .query_async(&mut connection)
        .await
        .unwrap();
    let policy = RedisStream::new(settings(&server)).unwrap();
    policy.persist(&publication("refused")).await.unwrap();
    let ann = ClientId::new("ann").unwrap();
    let private = Draft::new(ann, Payload::text("hi")).at(Position::default());
    policy.persist(&private.into()).await.unwrap();
    until("the refusal is counted", || policy.lost() == 1).await;
    policy.stop().await;
    assert_eq!(entries(&server, "polywire:stream:user:ann").await.len(), 1);
}

#[test]
fn a_wrong_url_is_refused_and_secrets_are_not_shown() {
    for url in ["", "http://:hunter2@host", "redis://:hunter2@host/x"] {
        match RedisStream::new(RedisStreamSettings::url(url)) {
            Err(PersistenceError::Configuration(text)) => {
                assert!(text.ends_with('.') && !text.contains("hunter2"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    let policy = RedisStream::new(RedisStreamSettings::url("rediss://:hunter2@host")).unwrap();
    assert!(!format!("{policy:?}").contains("hunter2"));
}
