//! The memory backend keeps the laws.

use polywire_backends::Memory;
use polywire_core::{BackendError, Channel, Draft, Payload, PubSubBackend, testkit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_laws() {
    testkit::backend_laws(Memory::default).await;
}

#[tokio::test]
async fn says_that_it_was_not_started() {
    let draft = Draft::new(Channel::new("room").unwrap(), Payload::text("hello"));
    let answer = Memory::default().publish(draft).await;
    assert!(matches!(answer, Err(BackendError::NotRunning)));
}
