//! Waiting with an end: for a future, for a condition.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

/// How long anything in a suite may take: far longer than it does, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `future`.
///
/// # Panics
/// When it takes longer than 30 s; `what` says what was waited for.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} took longer than {PATIENCE:?}"),
    }
}

/// Waits until `condition` holds, looking every few milliseconds; returns how long that took.
///
/// # Panics
/// When it takes longer than 30 s; `what` says what was waited for.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < PATIENCE,
            "waited longer than {PATIENCE:?} until {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}
