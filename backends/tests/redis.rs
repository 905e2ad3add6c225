//! The Redis backend on a real server: the laws, and what happens when the server goes away.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use polywire_backends::{Redis, RedisSettings};
use polywire_core::{
    BackendError, BackendStatus, Channel, ClientId, Draft, Kind, Pattern, Payload, PubSubBackend,
    testkit::{self, RedisServer, RedisServerOptions, TestNode, until},
};

/// Short waits, so that the tests of outages are short.
fn settings(server: &RedisServer) -> RedisSettings {
    let mut settings = RedisSettings::url(server.url());
    settings.response_timeout_ms = 1000;
    settings.keepalive_ms = 300;
    settings
}

fn backend(server: &RedisServer) -> Redis {
    Redis::new(settings(server)).unwrap()
}

fn channel(name: &str) -> Channel {
    Channel::new(name).unwrap()
}

fn draft(channel: &Channel, text: &str) -> Draft {
    Draft::new(channel.clone(), Payload::text(text.to_owned()))
}

async fn connect(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Channels that somebody is subscribed to.
async fn channels(connection: &mut redis::aio::MultiplexedConnection) -> Vec<String> {
    let mut channels: Vec<String> = redis::cmd("PUBSUB")
        .arg("CHANNELS")
        .query_async(connection)
        .await
        .unwrap();
    // Each node hears itself on one.
    channels.retain(|channel| !channel.contains("heartbeat:"));
    channels.sort();
    channels
}

async fn subscriptions(connection: &mut redis::aio::MultiplexedConnection, name: &str) -> usize {
    let (_, count): (String, usize) = redis::cmd("PUBSUB")
        .arg("NUMSUB")
        .arg(name)
        .query_async(connection)
        .await
        .unwrap();
    count
}

async fn until_channels(connection: &mut redis::aio::MultiplexedConnection, expected: &[&str]) {
    let start = Instant::now();
    loop {
        let found = channels(connection).await;
        if found == expected {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "subscribed to {found:?}, not to {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Publishes during an outage: quick, refused, and local members get it.
async fn publish_alone(node: &TestNode, room: &Channel, text: &str) {
    let start = Instant::now();
    let answer = node.try_publish(draft(room, text)).await;
    assert!(
        matches!(answer, Err(BackendError::Unreachable(_))),
        "{answer:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_laws() {
    let server = RedisServer::start().await;
    testkit::backend_laws(|| backend(&server)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_laws_of_many_nodes() {
    let server = RedisServer::start().await;
    testkit::backend_laws_of_nodes(|| backend(&server)).await;
}

#[tokio::test]
async fn a_killed_server_is_noticed_survived_and_found_again() {
    let mut server = RedisServer::start().await;
    let (a, b) = (
        TestNode::ready(backend(&server)).await,
        TestNode::ready(backend(&server)).await,
    );
    let (room, ann) = (channel("room"), ClientId::new("ann").unwrap());
    let pattern = Pattern::mqtt("wild/#").unwrap();
    let (on_a, on_b) = (a.connection(), b.connection());
    a.join(&room, &on_a).await;
    b.join(&room, &on_b).await;
    b.join(&ann, &on_b).await;
    b.join(&pattern, &on_b).await;
    a.say(&room, "before").await;
    on_b.wait_for(1).await;

    server.kill();
    // No traffic: the loss is noticed all the same.
    until("the loss is noticed", || {
        a.backend().status() == BackendStatus::Reconnecting
    })
    .await;
    publish_alone(&a, &room, "alone").await;
    on_a.wait_for(2).await;
    assert_eq!(on_a.texts(), ["before", "alone"]);
    // Subscribing does not wait, and is made good later.
    let late = a.connection();
    let start = Instant::now();
    let (_joined, answer) = a.try_join(&channel("late"), &late).await;
    assert!(matches!(answer, Err(BackendError::Unreachable(_))));
    assert!(start.elapsed() < Duration::from_secs(1));

    server.restart().await;
    a.until_ready().await;
    b.until_ready().await;
    a.say(&room, "after").await;
    a.publish(Draft::new(ann, Payload::text("private"))).await;
    a.say(&channel("wild/x"), "wild").await;
    b.say(&channel("late"), "late").await;
    on_b.wait_for(4).await;
    late.wait_for(1).await;
    assert_eq!(on_a.texts(), ["before", "alone", "after"]);
    assert_eq!(on_b.texts(), ["before", "after", "private", "wild"]);
    assert_eq!(late.texts(), ["late"]);
    let positions = on_a.positions();
    assert_ne!(positions[0].epoch, positions[2].epoch, "the server forgot");
    assert!(positions.is_sorted_by_key(|position| position.timetoken));
    assert_eq!(a.stored().publications().len(), 5, "each stored once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_never_stop_lose_nothing_on_their_own_node() {
    let mut server = RedisServer::start().await;
    let node = Arc::new(TestNode::ready(backend(&server)).await);
    let room = channel("room");
    let connection = node.connection();
    node.join(&room, &connection).await;
    let publishing: Vec<_> = (0..4)
        .map(|publisher| {
            let (node, room) = (node.clone(), room.clone());
            tokio::spawn(async move {
                let (mut texts, start) = (Vec::new(), Instant::now());
                while start.elapsed() < Duration::from_millis(1500) {
                    let text = format!("{publisher}:{}", texts.len());
                    let _ = node.try_publish(draft(&room, &text)).await;
                    texts.push(text);
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
                texts
            })
        })
        .collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart().await;
    }
    let mut published = Vec::new();
    for task in publishing {
        published.push(task.await.unwrap());
    }
    node.until_ready().await;
    let last = node.say(&room, "last").await;
    until("the last arrives", || {
        connection.positions().last() == Some(&last)
    })
    .await;
    let texts = connection.texts();
    for (publisher, expected) in published.iter().enumerate() {
        let prefix = format!("{publisher}:");
        let own = texts.iter().filter(|text| text.starts_with(&prefix));
        let own: Vec<_> = own.cloned().collect();
        assert_eq!(own, *expected, "each once, and in order");
    }
}

#[tokio::test]
async fn a_server_that_hangs_counts_as_away_and_nothing_comes_twice() {
    let server = RedisServer::start().await;
    let (a, b) = (
        TestNode::ready(backend(&server)).await,
        TestNode::ready(backend(&server)).await,
    );
    let room = channel("room");
    let (on_a, on_b) = (a.connection(), b.connection());
    a.join(&room, &on_a).await;
    b.join(&room, &on_b).await;

    server.pause();
    // This one is sent and not answered: the server has it in its socket.
    publish_alone(&a, &room, "unknown").await;
    assert_eq!(on_a.texts(), ["unknown"]);
    assert_eq!(a.backend().status(), BackendStatus::Reconnecting);
    publish_alone(&a, &room, "alone").await;
    let (_joined, answer) = a.try_join(&channel("other"), &a.connection()).await;
    assert!(answer.is_err());
    until("the other node notices too", || {
        b.backend().status() == BackendStatus::Reconnecting
    })
    .await;

    server.resume();
    a.until_ready().await;
    b.until_ready().await;
    let last = a.say(&room, "after").await;
    for connection in [&on_a, &on_b] {
        until("the last arrives", || {
            connection.positions().last() == Some(&last)
        })
        .await;
    }
    assert_eq!(on_a.texts(), ["unknown", "alone", "after"]);
    // The other node may have got the one of unknown fate, but once.
    let texts = on_b.texts();
    assert!(
        texts == ["after"] || texts == ["unknown", "after"],
        "{texts:?}"
    );
}

#[tokio::test]
async fn a_node_may_start_before_its_server() {
    let mut server = RedisServer::reserve(RedisServerOptions::default());
    let start = Instant::now();
    let node = TestNode::start(backend(&server)).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(node.backend().status(), BackendStatus::Reconnecting);
    let room = channel("room");
    let connection = node.connection();
    let (_joined, answer) = node.try_join(&room, &connection).await;
    assert!(answer.is_err());
    publish_alone(&node, &room, "alone").await;

    server.restart().await;
    node.until_ready().await;
    node.say(&room, "together").await;
    assert_eq!(connection.texts(), ["alone", "together"]);
}

#[tokio::test]
async fn there_is_one_subscription_per_channel_and_none_is_left_behind() {
    let server = RedisServer::start().await;
    let mut redis = connect(&server).await;
    let (a, b) = (
        TestNode::ready(backend(&server)).await,
        TestNode::ready(backend(&server)).await,
    );
    let (room, ann) = (channel("room"), ClientId::new("ann").unwrap());
    let mut joined = Vec::new();
    for _ in 0..10 {
        joined.push(a.join(&room, &a.connection()).await);
        joined.push(a.join(&ann, &a.connection()).await);
    }
    assert_eq!(
        channels(&mut redis).await,
        ["polywire:channel:room", "polywire:client:ann"]
    );
    assert_eq!(subscriptions(&mut redis, "polywire:channel:room").await, 1);
    let other = b.join(&room, &b.connection()).await;
    assert_eq!(subscriptions(&mut redis, "polywire:channel:room").await, 2);
    b.leave(&other);
    // Leaving again, and a hint about something that nobody wanted, change nothing.
    b.leave(&other);
    b.backend().unsubscribe(&(&channel("never")).into());
    let last = joined.split_off(2);
    last.iter().for_each(|joined| a.leave(joined));
    until_channels(
        &mut redis,
        &["polywire:channel:room", "polywire:client:ann"],
    )
    .await;
    assert_eq!(subscriptions(&mut redis, "polywire:channel:room").await, 1);
    joined.iter().for_each(|joined| a.leave(joined));
    until_channels(&mut redis, &[]).await;

    // Coming and going at once leaves nothing behind, whatever the order in which it is looked at.
    let patterns = ["churn/#", "churn/+"].map(|filter| Pattern::mqtt(filter).unwrap());
    let recorder = a.connection();
    for round in 0..300 {
        let name = channel(&format!("churn/{}", round % 7));
        let joined = [
            a.join(&name, &recorder).await,
            a.join(&patterns[round % 2], &recorder).await,
        ];
        joined.iter().for_each(|joined| a.leave(joined));
    }
    until_channels(&mut redis, &[]).await;
    let patterns: usize = redis::cmd("PUBSUB")
        .arg("NUMPAT")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(patterns, 0);
    // A stopped node is gone.
    b.join(&room, &b.connection()).await;
    b.stop().await;
    until_channels(&mut redis, &[]).await;
}

#[tokio::test]
async fn systems_with_different_prefixes_do_not_see_each_other() {
    let server = RedisServer::start().await;
    let node = |prefix: &str| {
        TestNode::ready(Redis::new(settings(&server).prefix(prefix.to_owned())).unwrap())
    };
    // The second prefix looks like a glob that would match the first.
    let (a, b) = (node("a:").await, node("*").await);
    let (room, all) = (channel("room"), Pattern::mqtt("#").unwrap());
    let (on_a, on_b) = (a.connection(), b.connection());
    for (node, connection) in [(&a, &on_a), (&b, &on_b)] {
        node.join(&room, connection).await;
        node.join(&all, connection).await;
    }
    a.say(&room, "a").await;
    b.say(&room, "b").await;
    a.say(&room, "a").await;
    b.say(&room, "b").await;
    on_a.wait_for(2).await;
    on_b.wait_for(2).await;
    assert_eq!(on_a.texts(), ["a", "a"]);
    assert_eq!(on_b.texts(), ["b", "b"]);
}

#[tokio::test]
async fn a_password_and_a_database_are_used() {
    let server = RedisServer::start_with(RedisServerOptions {
        password: Some("hunter2".into()),
        ..RedisServerOptions::default()
    })
    .await;
    let room = channel("room");
    let right = settings(&server).password("hunter2").database(5);
    let node = TestNode::ready(Redis::new(right).unwrap()).await;
    node.say(&room, "hello").await;
    let url = format!("redis://:hunter2@127.0.0.1:{}/5", server.port());
    let mut redis = redis::Client::open(url.as_str())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let mut keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut redis)
        .await
        .unwrap();
    keys.sort();
    assert_eq!(
        keys,
        [
            "polywire:listed",
            "polywire:place:channel:room",
            "polywire:timetoken",
            "polywire:window:channel:room"
        ]
    );

    let wrong = settings(&server).password("hunter3");
    let node = TestNode::start(Redis::new(wrong).unwrap()).await;
    until("the password is refused", || {
        matches!(node.backend().status(), BackendStatus::Unusable(_))
    })
    .await;
    publish_alone(&node, &room, "alone").await;
}

#[tokio::test]
async fn garbage_on_a_channel_is_skipped_and_a_flushed_script_comes_back() {
    let server = RedisServer::start().await;
    let node = TestNode::ready(backend(&server)).await;
    let room = channel("room");
    let connection = node.connection();
    node.join(&room, &connection).await;
    node.say(&room, "one").await;
    let mut redis = connect(&server).await;
    for garbage in [&b""[..], b"hello", b"pw1 1 2 3\n", b"pw1 x\n", &[255; 100]] {
        let () = redis::cmd("PUBLISH")
            .arg("polywire:channel:room")
            .arg(garbage)
            .query_async(&mut redis)
            .await
            .unwrap();
    }
    let () = redis::cmd("SCRIPT")
        .arg("FLUSH")
        .query_async(&mut redis)
        .await
        .unwrap();
    node.say(&room, "two").await;
    // A connection that somebody else ends is made again.
    let _: redis::RedisResult<()> = redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("pubsub")
        .query_async(&mut redis)
        .await;
    until("the connection is missed", || {
        node.backend().status() == BackendStatus::Reconnecting
    })
    .await;
    node.until_ready().await;
    node.say(&room, "three").await;
    assert_eq!(connection.texts(), ["one", "two", "three"]);
    let positions = connection.positions();
    assert_eq!(positions[0].epoch, positions[2].epoch);
    assert_eq!(positions[2].seq.0, 3);
}

#[tokio::test]
async fn a_server_that_may_have_forgotten_something_begins_a_new_epoch() {
    let server = RedisServer::start().await;
    let node = TestNode::ready(backend(&server)).await;
    let room = channel("room");
    let first = node.say(&room, "one").await;
    let second = node.say(&room, "two").await;
    assert_eq!((first.epoch, second.seq.0), (second.epoch, 2));
    // As if the place had been written by another run of the server.
    let () = redis::cmd("HSET")
        .arg("polywire:place:channel:room")
        .arg("run")
        .arg("earlier")
        .query_async(&mut connect(&server).await)
        .await
        .unwrap();
    let third = node.say(&room, "three").await;
    assert_ne!(second.epoch, third.epoch);
    assert_eq!(third.seq.0, 1);
    assert!(third.timetoken > second.timetoken);
    assert_eq!(node.say(&room, "four").await.epoch, third.epoch);
}

#[tokio::test]
async fn a_publication_that_redis_refuses_is_served_here_once() {
    let server = RedisServer::start().await;
    let node = TestNode::ready(backend(&server)).await;
    let room = channel("room");
    let connection = node.connection();
    node.join(&room, &connection).await;
    let mut redis = connect(&server).await;
    // The key is of the wrong type: the script fails.
    let () = redis::cmd("SET")
        .arg("polywire:place:channel:room")
        .arg("x")
        .query_async(&mut redis)
        .await
        .unwrap();
    publish_alone(&node, &room, "alone").await;
    assert_eq!(connection.texts(), ["alone"]);
    assert_eq!(node.backend().status(), BackendStatus::Ready);
    node.publish(draft(&channel("other"), "x").kind(Kind::Signal))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_large_messages_is_delivered() {
    let server = RedisServer::start().await;
    let (a, b) = (
        Arc::new(TestNode::ready(backend(&server)).await),
        TestNode::ready(backend(&server)).await,
    );
    let room = channel("room");
    let connection = b.connection();
    b.join(&room, &connection).await;
    let large = "x".repeat(1 << 20);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (a, draft) = (a.clone(), draft(&room, &large));
            tokio::spawn(async move { a.publish(draft).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    connection.wait_for(20).await;
    assert_eq!(connection.len(), 20);
}

#[tokio::test]
async fn answers_before_the_start_and_after_the_stop() {
    let server = RedisServer::start().await;
    let room = channel("room");
    let idle = backend(&server);
    let answer = idle.publish(draft(&room, "x")).await;
    assert!(matches!(answer, Err(BackendError::NotRunning)));
    idle.unsubscribe(&(&room).into());
    idle.stop().await;

    let node = TestNode::ready(backend(&server)).await;
    let connection = node.connection();
    node.join(&room, &connection).await;
    node.stop().await;
    publish_alone(&node, &room, "late").await;
    assert_eq!(connection.texts(), ["late"]);
}
