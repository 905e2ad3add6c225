//! What a client sends together is stored together: at QoS 0 nobody waits for the store at all, at QoS 1 once for all of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use polywire_core::{
    AppRunner, Durability, PersistResult, PersistencePolicy, Publication,
    testkit::{AllowAll, LocalBackend},
};
use polywire_emitter::Emitter;
use tokio::time::sleep;

use crate::{
    client::{Client, Lasting, message_0, text},
    start,
};

/// A store that takes its time for each batch, as a disk does, and counts them.
struct Slow(Arc<AtomicUsize>);

#[async_trait]
impl PersistencePolicy for Slow {
    async fn persist(&self, _: &Arc<Publication>) -> PersistResult {
        self.0.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(5)).await;
        Ok(Durability::Delivered)
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        self.0.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(5)).await;
        batch.iter().map(|_| Ok(Durability::Delivered)).collect()
    }
}

async fn slow_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let batches = Arc::new(AtomicUsize::new(0));
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .persistence(Slow(batches.clone()))
        .app(Emitter::default());
    (start(builder).await.0, batches)
}

#[tokio::test]
async fn messages_of_qos_1_that_come_together_are_stored_together_and_answered_in_order() {
    let (server, batches) = slow_server().await;
    let (mut subscriber, _) = Client::connect(server, "s", Lasting::No).await;
    subscriber.subscribe("t", 0).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    let before = batches.load(Ordering::Relaxed);
    let ids = 1..=100_u16;
    let packets: Vec<u8> = ids.clone().flat_map(publish_1).collect();
    publisher.send_raw(&packets).await;
    for id in ids.clone() {
        publisher.expect_ack(0x40, id).await;
    }
    for id in ids.clone() {
        assert_eq!(message_0(&subscriber.packet().await.1).1, id.to_string());
    }
    let batches = batches.load(Ordering::Relaxed) - before;
    assert!(batches < 50, "{batches} batches");
    // What is of another kind comes behind them, and sent wrongly it ends nothing that came before.
    let mut packets: Vec<u8> = ids.clone().flat_map(publish_1).collect();
    packets.extend([0xc0, 0, 0x36, 0]);
    publisher.send_raw(&packets).await;
    for id in ids {
        publisher.expect_ack(0x40, id).await;
    }
    assert_eq!(publisher.packet().await, (0xd0, vec![]));
    publisher.closed().await;
}

/// PUBLISH of QoS 1, whose payload is its id.
fn publish_1(id: u16) -> Vec<u8> {
    let mut body = text("t");
    body.extend(id.to_be_bytes());
    body.extend(id.to_string().as_bytes());
    [&[0x32, body.len() as u8], &body[..]].concat()
}

#[tokio::test]
async fn messages_of_qos_0_are_stored_together_and_in_order() {
    let (server, batches) = slow_server().await;
    let (mut subscriber, _) = Client::connect(server, "s", Lasting::No).await;
    subscriber.subscribe("u/#", 0).await;
    let (mut publisher, _) = Client::connect(server, "p", Lasting::No).await;
    let before = batches.load(Ordering::Relaxed);
    for n in 0..200 {
        let topic = format!("u/{}", n % 3);
        publisher.publish(0, false, 0, &topic, &n.to_string()).await;
    }
    for n in 0..200 {
        let (_, body) = subscriber.packet().await;
        assert_eq!(message_0(&body), (format!("u/{}", n % 3), n.to_string()));
    }
    // Each by itself would be 200.
    let batches = batches.load(Ordering::Relaxed) - before;
    assert!(batches < 100, "{batches} batches");
    // What is answered waits for the store, behind what is not.
    publisher.publish(0, false, 0, "u/0", "unheard").await;
    publisher.publish(1, false, 7, "u/0", "heard").await;
    publisher.expect_ack(0x40, 7).await;
    for expected in ["unheard", "heard"] {
        assert_eq!(message_0(&subscriber.packet().await.1).1, expected);
    }
}
