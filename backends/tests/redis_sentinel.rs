//! Redis with Sentinel: the master is followed, and nothing that was acknowledged is lost when another one takes over.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

mod sentinels;

use std::sync::Arc;

use polywire_backends::{Redis, RedisSettings};
use polywire_core::{
    BackendError, BackendStatus, Channel, Draft, Payload, PubSubBackend, Rules,
    testkit::{TestNode, until},
};

use self::sentinels::Watched;

fn backend(watched: &Watched, replicas_min: u32) -> Redis {
    let mut settings = RedisSettings::url(watched.url());
    settings.keepalive_ms = 300;
    settings.replicas_min = replicas_min;
    Redis::new(settings).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_in_a_failover() {
    for is_kept in [false, true] {
        let mut watched = Watched::start().await;
        let make = || {
            let backend = backend(&watched, 1);
            match is_kept {
                true => backend.with_history(Rules::default()).unwrap(),
                false => backend,
            }
        };
        let publisher = Arc::new(TestNode::ready(make()).await);
        let node = TestNode::ready(make()).await;
        let room = Channel::new("room").unwrap();
        let member = node.connection();
        node.join(&room, &member).await;
        let publishing = {
            let (publisher, room) = (publisher.clone(), room.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                let mut failures = 0;
                // It goes on until it was refused, and has been taken again for a while.
                let mut left = 300;
                for number in 0.. {
                    let draft = Draft::new(room.clone(), Payload::text(number.to_string()));
                    match publisher.try_publish(draft).await {
                        Ok(_) => {
                            acknowledged.push(number.to_string());
                            left -= i32::from(failures > 0);
                        }
                        Err(BackendError::Unreachable(_)) => {
                            failures += 1;
                            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                        }
                        Err(other) => panic!("{other}"),
                    }
                    if left == 0 {
                        return acknowledged;
                    }
                }
                unreachable!("numbers do not end")
            })
        };
        member.wait_for(100).await;
        watched.kill_master().await;
        let acknowledged = publishing.await.unwrap();
        node.until_ready().await;
        let last = acknowledged.last().unwrap();
        until("the last arrives", || member.texts().last() == Some(last)).await;
        // What was answered with an outage may have arrived, too.
        let texts = member.texts();
        let mut arrived = texts.iter();
        for text in &acknowledged {
            assert!(
                arrived.any(|one| one == text),
                "{text} was acknowledged and lost"
            );
        }
        assert_eq!(member.gaps(), [0; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_without_its_replicas_takes_nothing_for_sure() {
    let mut watched = Watched::start().await;
    let node = TestNode::ready(backend(&watched, 1)).await;
    let room = Channel::new("room").unwrap();
    let member = node.connection();
    node.join(&room, &member).await;
    node.say(&room, "replicated").await;
    watched.kill_replicas();
    let draft = Draft::new(room.clone(), Payload::text("alone"));
    let answer = node.try_publish(draft).await;
    assert!(
        matches!(answer, Err(BackendError::Unreachable(_))),
        "{answer:?}"
    );
    member.wait_for(2).await;
    assert_eq!(member.texts(), ["replicated", "alone"], "it came, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_know_no_such_master_are_no_connection() {
    let watched = Watched::start().await;
    let url = watched.url().replace("main@", "other@");
    let node = TestNode::start(Redis::new(RedisSettings::url(url)).unwrap()).await;
    until("it was tried", || {
        node.backend().status() == BackendStatus::Reconnecting
    })
    .await;
    let draft = Draft::new(Channel::new("room").unwrap(), Payload::text("x"));
    assert!(node.try_publish(draft).await.is_err());
}
