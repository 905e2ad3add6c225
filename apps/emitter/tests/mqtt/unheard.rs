//! At QoS 0 nobody hears what becomes of a message, so nobody waits for the store either.

use std::{
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
    client::{Client, Lasting, message_0},
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

#[tokio::test]
async fn messages_of_qos_0_are_stored_together_and_in_order() {
    let batches = Arc::new(AtomicUsize::new(0));
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .persistence(Slow(batches.clone()))
        .app(Emitter::default());
    let (server, _) = start(builder).await;
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
