//! History in Redis, on a real server.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::{sync::Arc, time::Duration};

use polywire_backends::{Redis, RedisHistory, RedisSettings};
use polywire_core::{
    BackendStatus, Channel, Draft, Payload, PersistencePolicy, PubSubBackend, Query, Retention,
    Rule, Rules, Span, Target,
    testkit::{self, RedisServer, RedisServerOptions, TestNode, until},
};

fn settings(server: &RedisServer) -> RedisSettings {
    RedisSettings {
        response_timeout_ms: 1000,
        ..RedisSettings::url(server.url())
    }
}

fn backend(server: &RedisServer, rule: Rule) -> Redis {
    let backend = Redis::new(settings(server)).unwrap();
    backend.with_history(Rules::all(rule)).unwrap()
}

fn room() -> Channel {
    Channel::new("room").unwrap()
}

async fn texts(node: &TestNode) -> Vec<String> {
    let history = node.backend().history().unwrap();
    let query = Query::new(Span::ALL, 100_000);
    let page = history.read(&room().into(), &query).await.unwrap();
    page.entries
        .iter()
        .map(|entry| match &entry.publication.payload {
            Payload::Text(text) => text.value().to_string(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_with_history_keeps_the_laws() {
    let server = RedisServer::start().await;
    testkit::backend_laws(|| backend(&server, Rule::default())).await;
    let server = RedisServer::start().await;
    testkit::backend_laws_of_nodes(|| backend(&server, Rule::default())).await;
}

#[tokio::test]
async fn the_history_keeps_the_laws() {
    let server = RedisServer::start().await;
    let mut number = 0;
    testkit::history_laws(async || {
        number += 1;
        let settings = settings(&server).prefix(format!("test{number}:"));
        RedisHistory::new(&settings, Rules::default()).unwrap()
    })
    .await;
    let policy = || RedisHistory::new(&settings(&server), Rules::default()).unwrap();
    testkit::persistence_laws(policy).await;
}

#[tokio::test]
async fn every_node_reads_what_any_node_published_as_it_was_delivered() {
    let server = RedisServer::start().await;
    let a = Arc::new(TestNode::ready(backend(&server, Rule::default())).await);
    let b = Arc::new(TestNode::ready(backend(&server, Rule::default())).await);
    let member = a.connection();
    a.join(&room(), &member).await;
    let publishing = |node: &Arc<TestNode>, name: &'static str| {
        let node = node.clone();
        tokio::spawn(async move {
            for n in 0..200 {
                node.say(&room(), &format!("{name}{n}")).await;
            }
        })
    };
    let (first, second) = (publishing(&a, "a"), publishing(&b, "b"));
    first.await.unwrap();
    second.await.unwrap();
    let delivered = member.wait_for(400).await;
    for node in [&a, &b] {
        let history = node.backend().history().unwrap();
        let query = Query::new(Span::ALL, 1000);
        let page = history.read(&room().into(), &query).await.unwrap();
        let read: Vec<_> = page
            .entries
            .iter()
            .map(|entry| (*entry.publication).clone())
            .collect();
        assert_eq!(read, delivered, "one order, live and later");
    }
}

#[tokio::test]
async fn a_rule_bounds_a_channel_by_number_and_age_and_a_message_has_its_own_time() {
    let server = RedisServer::start().await;
    let rule = Rule {
        entries_max: Some(100),
        ..Rule::default()
    };
    let node = TestNode::ready(backend(&server, rule)).await;
    for n in 0..1000 {
        node.say(&room(), &n.to_string()).await;
    }
    let kept = texts(&node).await;
    // Redis trims whole blocks of about a hundred.
    assert!((100..=300).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap(), "999");
    node.stop().await;

    let server = RedisServer::start().await;
    let rule = Rule {
        age_max: Some(Duration::from_secs(3600)),
        ..Rule::default()
    };
    let node = TestNode::ready(backend(&server, rule)).await;
    node.say(&room(), "stays").await;
    let fleeting = Draft::new(room(), Payload::text("goes")).retention(Retention {
        store: true,
        ttl: Some(Duration::from_millis(300)),
    });
    node.publish(fleeting).await;
    assert_eq!(texts(&node).await, ["stays", "goes"]);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(texts(&node).await, ["stays"]);
}

#[tokio::test]
async fn numbers_go_on_when_the_node_starts_again_and_after_an_age_limit() {
    let server = RedisServer::start().await;
    let node = TestNode::ready(backend(&server, Rule::default())).await;
    let first = node.say(&room(), "one").await;
    let signal = Draft::new(room(), Payload::text("x")).retention(Retention::NONE);
    node.publish(signal).await;
    node.stop().await;
    let node = TestNode::ready(backend(&server, Rule::default())).await;
    let second = node.say(&room(), "two").await;
    assert_eq!((second.epoch, second.seq.0), (first.epoch, 2));
    assert_eq!(texts(&node).await, ["one", "two"]);
    let history = node.backend().history().unwrap();
    let last = history.last_position(&room().into()).await.unwrap();
    assert_eq!(last, Some(second));
    assert!(history.last_timetoken().await.unwrap() >= second.timetoken);
}

#[tokio::test]
async fn history_waits_for_a_server_that_was_away() {
    let mut server = RedisServer::start().await;
    let policy = RedisHistory::new(&settings(&server), Rules::default()).unwrap();
    let history = policy.history().unwrap();
    let target = Target::from(room());
    assert_eq!(history.count(&target, Span::ALL).await.unwrap(), 0);
    server.kill();
    assert!(history.count(&target, Span::ALL).await.is_err());
    server.restart().await;
    assert_eq!(history.count(&target, Span::ALL).await.unwrap(), 0);
}

#[tokio::test]
async fn numbers_go_on_after_a_restart_of_a_server_that_syncs_every_write() {
    let mut server = RedisServer::start_with(RedisServerOptions {
        synced: true,
        ..RedisServerOptions::default()
    })
    .await;
    let node = TestNode::ready(backend(&server, Rule::default())).await;
    let first = node.say(&room(), "one").await;
    server.restart().await;
    until("the node has noticed", || {
        node.backend().status() == BackendStatus::Reconnecting
    })
    .await;
    node.until_ready().await;
    let second = node.say(&room(), "two").await;
    assert_eq!((second.epoch, second.seq.0), (first.epoch, 2));
    assert_eq!(texts(&node).await, ["one", "two"]);
}
