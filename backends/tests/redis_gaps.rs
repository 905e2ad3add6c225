//! Gap repair on a real Redis: what a node misses is read and delivered in order, and what cannot be is told.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod lossy_proxy;

use std::sync::Arc;

use polywire_backends::{Redis, RedisSettings};
use polywire_core::{
    BackendStatus, Channel, ClientId, Draft, Pattern, Payload, PubSubBackend, Retention, Rules,
    testkit::{Recorder, RedisServer, RedisServerOptions, TestNode, until},
};

use self::lossy_proxy::{Loss, LossyProxy};

fn settings(url: String) -> RedisSettings {
    RedisSettings {
        keepalive_ms: 200,
        ..RedisSettings::url(url)
    }
}

fn backend(url: String) -> Redis {
    Redis::new(settings(url)).unwrap()
}

fn keeping(url: String) -> Redis {
    backend(url).with_history(Rules::default()).unwrap()
}

fn room() -> Channel {
    Channel::new("room").unwrap()
}

/// Two nodes, one of which has its link through a proxy.
struct Two {
    server: RedisServer,
    proxy: LossyProxy,
    publisher: TestNode,
    node: TestNode,
}

impl Two {
    async fn start(options: RedisServerOptions, make: fn(String) -> Redis) -> Self {
        let server = RedisServer::start_with(options).await;
        let proxy = LossyProxy::start(server.port()).await;
        Self {
            publisher: TestNode::ready(make(server.url())).await,
            node: TestNode::ready(make(proxy.url())).await,
            proxy,
            server,
        }
    }

    /// Cuts the link of the node, and publishes before it is there again.
    async fn publish_while_it_is_cut(&self, channel: &Channel, texts: &[&str]) {
        self.server.pause();
        self.proxy.cut();
        until("the cut is noticed", || {
            self.node.backend().status() != BackendStatus::Ready
        })
        .await;
        self.server.resume();
        self.publisher.until_ready().await;
        for text in texts {
            self.publisher.say(channel, text).await;
        }
        self.node.until_ready().await;
    }
}

fn assert_dense(recorder: &Recorder) {
    let positions = recorder.positions();
    for pair in positions.windows(2) {
        assert_eq!(pair[0].epoch, pair[1].epoch);
        assert_eq!(pair[0].seq.0 + 1, pair[1].seq.0, "{positions:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_that_the_link_loses_come_in_their_place() {
    for make in [backend, keeping] {
        let two = Two::start(RedisServerOptions::default(), make).await;
        let member = two.node.connection();
        two.node.join(&room(), &member).await;
        two.publisher.say(&room(), "first").await;
        two.proxy.lose(Loss::OneOf(3));
        let mut expected = vec!["first".to_owned()];
        for number in 0..200 {
            let draft = Draft::new(room(), Payload::text(number.to_string()));
            // What is not kept has no number of its own, and is not lost either.
            let retention = match number % 4 {
                0 => Retention::NONE,
                _ => Retention::DEFAULT,
            };
            two.publisher.publish(draft.retention(retention)).await;
            expected.push(number.to_string());
        }
        member.wait_for(expected.len()).await;
        assert_eq!(member.texts(), expected);
        assert!(two.proxy.lost() > 10, "{} were lost", two.proxy.lost());
        assert_eq!(member.gaps(), [0; 0]);
    }
}

/// Nothing follows that would show it: the places are compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_publication_of_a_channel_is_missed_too() {
    let two = Two::start(RedisServerOptions::default(), backend).await;
    let (member, private, wild) = (
        two.node.connection(),
        two.node.connection(),
        two.node.connection(),
    );
    let ann = ClientId::new("ann").unwrap();
    two.node.join(&room(), &member).await;
    two.node.join(&ann, &private).await;
    two.node
        .join(&Pattern::mqtt("wild/#").unwrap(), &wild)
        .await;
    let known = Channel::new("wild/known").unwrap();
    two.publisher.say(&known, "before").await;
    wild.wait_for(1).await;
    two.proxy.lose(Loss::Publications);
    two.publisher.say(&room(), "only").await;
    two.publisher
        .publish(Draft::new(ann, Payload::text("private")))
        .await;
    two.publisher.say(&known, "known").await;
    // Of this channel the node has never heard.
    let unknown = Channel::new("wild/unknown").unwrap();
    two.publisher.say(&unknown, "unknown").await;
    member.wait_for(1).await;
    private.wait_for(1).await;
    wild.wait_for(3).await;
    assert_eq!(member.texts(), ["only"]);
    assert_eq!(private.texts(), ["private"]);
    let mut texts = wild.texts();
    texts.sort();
    assert_eq!(texts, ["before", "known", "unknown"]);
    assert_eq!(two.proxy.lost(), 4);
    assert!(wild.gaps().is_empty() && member.gaps().is_empty());
}

/// The publisher is answered when its own subscribers have it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_on_a_link_that_loses_is_answered_when_its_node_has_it() {
    let two = Two::start(RedisServerOptions::default(), backend).await;
    let member = two.node.connection();
    two.node.join(&room(), &member).await;
    two.proxy.lose(Loss::Publications);
    for text in ["a", "b"] {
        let place = two.node.say(&room(), text).await;
        assert_eq!(member.positions().last(), Some(&place));
    }
    assert_eq!(member.texts(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_while_the_link_is_cut_comes_afterwards() {
    for make in [backend, keeping] {
        let two = Two::start(RedisServerOptions::default(), make).await;
        let (member, wild) = (two.node.connection(), two.node.connection());
        two.node.join(&room(), &member).await;
        two.node.join(&Pattern::mqtt("#").unwrap(), &wild).await;
        two.publisher.say(&room(), "before").await;
        member.wait_for(1).await;
        let unknown = Channel::new("unknown").unwrap();
        for round in 0..3 {
            let texts = ["a", "b", "c"];
            two.publish_while_it_is_cut(&room(), &texts).await;
            two.publish_while_it_is_cut(&unknown, &["x"]).await;
            two.publisher.say(&room(), "after").await;
            member.wait_for(1 + 4 * (round + 1)).await;
            wild.wait_for(1 + 5 * (round + 1)).await;
        }
        let round = ["a", "b", "c", "after"];
        let expected: Vec<_> = ["before"]
            .into_iter()
            .chain((0..3).flat_map(|_| round))
            .collect();
        assert_eq!(member.texts(), expected);
        assert_dense(&member);
        assert_eq!(wild.len(), expected.len() + 3);
        assert!(member.gaps().is_empty() && wild.gaps().is_empty());
    }
}

/// Who comes while the node is cut off is owed what is published from when it can be subscribed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_subscribes_during_an_outage_gets_nothing_from_before() {
    let two = Two::start(RedisServerOptions::default(), backend).await;
    two.publisher.say(&room(), "before").await;
    two.server.pause();
    two.proxy.cut();
    until("the cut is noticed", || {
        two.node.backend().status() != BackendStatus::Ready
    })
    .await;
    let member = two.node.connection();
    let (_joined, answer) = two.node.try_join(&room(), &member).await;
    assert!(answer.is_err());
    two.server.resume();
    two.node.until_ready().await;
    two.publisher.until_ready().await;
    two.publisher.say(&room(), "after").await;
    member.wait_for(1).await;
    assert_eq!(member.texts(), ["after"]);
    assert!(member.gaps().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_is_a_gap_and_one_that_syncs_is_none() {
    let synced = || RedisServerOptions {
        synced: true,
        ..RedisServerOptions::default()
    };
    let forgetful = RedisServerOptions::default();
    for (mut two, gaps) in [
        (Two::start(forgetful, backend).await, 1),
        // Nobody knows whether what was published last is in the file.
        (Two::start(synced(), backend).await, 1),
        (Two::start(synced(), keeping).await, 0),
    ] {
        let members = [two.publisher.connection(), two.node.connection()];
        two.publisher.join(&room(), &members[0]).await;
        two.node.join(&room(), &members[1]).await;
        two.publisher.say(&room(), "before").await;
        members[1].wait_for(1).await;
        two.server.kill();
        for node in [&two.publisher, &two.node] {
            until("the loss is noticed", || {
                node.backend().status() != BackendStatus::Ready
            })
            .await;
        }
        two.server.restart().await;
        two.publisher.until_ready().await;
        two.node.until_ready().await;
        two.publisher.say(&room(), "after").await;
        for member in members {
            member.wait_for(2).await;
            assert_eq!(member.texts(), ["before", "after"]);
            assert_eq!(member.gaps(), &[1][..gaps]);
        }
    }
}

/// As an operator does by mistake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_emptied_is_a_gap() {
    let two = Two::start(RedisServerOptions::default(), backend).await;
    let member = two.node.connection();
    two.node.join(&room(), &member).await;
    two.publisher.say(&room(), "before").await;
    member.wait_for(1).await;
    let client = redis::Client::open(two.server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .exec_async(&mut connection)
        .await
        .unwrap();
    until("the gap is told", || member.gaps() == [1]).await;
    two.publisher.say(&room(), "after").await;
    member.wait_for(2).await;
    assert_eq!(member.gaps(), [1]);
}

/// More than the window has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_the_window_is_a_gap_without_history_and_none_with_it() {
    for (make, is_kept) in [(backend as fn(String) -> Redis, false), (keeping, true)] {
        let two = Two::start(RedisServerOptions::default(), make).await;
        let member = two.node.connection();
        two.node.join(&room(), &member).await;
        two.publisher.say(&room(), "before").await;
        member.wait_for(1).await;
        two.server.pause();
        two.proxy.cut();
        until("the cut is noticed", || {
            two.node.backend().status() != BackendStatus::Ready
        })
        .await;
        two.server.resume();
        two.publisher.until_ready().await;
        two.proxy.refuse(true);
        let publisher = Arc::new(two.publisher);
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let publisher = publisher.clone();
                tokio::spawn(async move {
                    for _ in 0..300 {
                        publisher.say(&room(), "meanwhile").await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        two.proxy.refuse(false);
        two.node.until_ready().await;
        let last = publisher.say(&room(), "last").await;
        until("the last arrives", || {
            member.positions().last() == Some(&last)
        })
        .await;
        if is_kept {
            assert_eq!(member.len(), 3002);
            assert_dense(&member);
            assert!(member.gaps().is_empty());
        } else {
            assert_eq!(member.gaps(), [1]);
            assert!((1000..1200).contains(&member.len()), "{}", member.len());
        }
    }
}
