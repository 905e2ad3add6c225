//! The link to Redis proves itself: what answers and cannot be used is noticed, named, and left.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod lossy_proxy;

use polywire_backends::{Redis, RedisSettings};
use polywire_core::{
    BackendStatus, Channel, PubSubBackend,
    testkit::{RedisServer, RedisServerOptions, TestNode, until},
};

use self::lossy_proxy::{Loss, LossyProxy};

fn settings(url: String) -> RedisSettings {
    RedisSettings {
        keepalive_ms: 200,
        ..RedisSettings::url(url)
    }
}

async fn node(settings: RedisSettings) -> TestNode {
    TestNode::start(Redis::new(settings).unwrap()).await
}

/// Waits until the node says that Redis cannot be used for a reason with these words.
async fn until_unusable(node: &TestNode, words: &str) {
    until(words, || match node.backend().status() {
        BackendStatus::Unusable(why) => why.contains(words),
        _ => false,
    })
    .await;
}

async fn command(server: &RedisServer, words: &[&str]) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let (name, arguments) = words.split_first().unwrap();
    let mut command = redis::cmd(name);
    command.arg(arguments);
    command.exec_async(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_delivers_nothing_is_left() {
    let server = RedisServer::start().await;
    let proxy = LossyProxy::start(server.port()).await;
    let node = node(settings(proxy.url())).await;
    node.until_ready().await;
    let (room, member) = (Channel::new("room").unwrap(), node.connection());
    node.join(&room, &member).await;
    node.say(&room, "heard").await;
    member.wait_for(1).await;
    proxy.lose(Loss::Everything);
    until_unusable(&node, "does not deliver").await;
    proxy.lose(Loss::Nothing);
    node.until_ready().await;
    node.say(&room, "heard again").await;
    member.wait_for(2).await;
    assert_eq!(member.texts(), ["heard", "heard again"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_becomes_a_replica_is_left() {
    let (server, master) = (RedisServer::start().await, RedisServer::start().await);
    let node = node(settings(server.url())).await;
    node.until_ready().await;
    let port = master.port().to_string();
    command(&server, &["REPLICAOF", "127.0.0.1", &port]).await;
    until_unusable(&node, "is a replica").await;
    let late = self::node(settings(server.url())).await;
    until_unusable(&late, "is a replica").await;
    command(&server, &["REPLICAOF", "NO", "ONE"]).await;
    node.until_ready().await;
    late.until_ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_named() {
    let options = RedisServerOptions {
        cluster: true,
        ..RedisServerOptions::default()
    };
    let server = RedisServer::start_with(options).await;
    until_unusable(&node(settings(server.url())).await, "Cluster").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_named() {
    let options = RedisServerOptions {
        password: Some("right".into()),
        ..RedisServerOptions::default()
    };
    let server = RedisServer::start_with(options).await;
    let none = node(settings(server.url())).await;
    until_unusable(&none, "password").await;
    let wrong = node(settings(server.url()).password("wrong")).await;
    until_unusable(&wrong, "password").await;
    let right = node(settings(server.url()).password("right")).await;
    right.until_ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_too_little_is_told() {
    let server = RedisServer::start().await;
    // What docs/configuration.md shows, but for the channels.
    let rules = "ACL SETUSER ann on >secret ~polywire:* +@all -@dangerous +info +role +config|get";
    let rules: Vec<_> = rules.split(' ').collect();
    command(&server, &rules).await;
    let ann = RedisSettings {
        username: Some("ann".into()),
        ..settings(server.url()).password("secret")
    };
    let node = node(ann).await;
    until_unusable(&node, "does not let this user").await;
    command(&server, &["ACL", "SETUSER", "ann", "&polywire:*"]).await;
    node.until_ready().await;
}
