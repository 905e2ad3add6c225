//! Lines that come together are stored together, and a client's own order holds all the same.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use polywire_core::{Durability, PersistResult, PersistencePolicy, Publication};
use polywire_knsock::KnSock;
use polywire_testing::{Server, peers::LineSocket};
use serde_json::json;
use tokio::time::sleep;

/// A store that takes its time for each batch, as a disk does, and counts them.
struct Slow(Arc<AtomicUsize>);

#[async_trait]
impl PersistencePolicy for Slow {
    async fn persist(&self, _: &Arc<Publication>) -> PersistResult {
        panic!("batches are wanted")
    }

    async fn persist_all(&self, batch: &[Arc<Publication>]) -> Vec<PersistResult> {
        self.0.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(5)).await;
        batch.iter().map(|_| Ok(Durability::Delivered)).collect()
    }
}

fn line(action: &str, topic: &str, message: usize) -> String {
    format!(
        "{}\n",
        json!({"action": action, "topic": topic, "message": message})
    )
}

#[test]
fn lines_that_come_together_are_stored_together() {
    let batches = Arc::new(AtomicUsize::new(0));
    let builder = Server::compose::<KnSock>("").persistence(Slow(batches.clone()));
    let server = Server::start(builder);
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let mut client = LineSocket::open(server.address);
    let before = batches.load(Ordering::Relaxed);
    client.write(
        (0..200)
            .map(|n| line("publish", "t", n))
            .collect::<String>(),
    );
    for n in 0..200 {
        watcher.expect("t", n);
    }
    let batches = batches.load(Ordering::Relaxed) - before;
    assert!(batches < 100, "{batches} batches");
}

#[test]
fn what_a_client_published_before_it_joined_is_not_for_it() {
    let builder = Server::compose::<KnSock>("").persistence(Slow(Arc::default()));
    let server = Server::start(builder);
    let mut watcher = LineSocket::subscribed(server.address, "t");
    let mut client = LineSocket::open(server.address);
    client.write(
        [
            line("publish", "t", 1),
            line("subscribe", "t", 0),
            line("publish", "t", 2),
        ]
        .concat(),
    );
    client.expect("t", 2);
    // Nor does it miss what it published before it left.
    client.write(
        [
            line("publish", "t", 3),
            line("unsubscribe", "t", 0),
            line("publish", "t", 4),
        ]
        .concat(),
    );
    client.expect("t", 3);
    client.expect_silence();
    for n in 1..=4 {
        watcher.expect("t", n);
    }
}
