//! The signals that a server answers to.

/// Waits for SIGINT (Ctrl-C) or SIGTERM. Cancel safe.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        tracing::error!("signals cannot be caught; the server runs until it is killed");
        return std::future::pending().await;
    };
    let name = tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    };
    tracing::info!(signal = name, "stopping");
}

/// Calls `look` for every SIGHUP, which from then on does not end the program any more: the habit of servers
/// to be told of new certificates.
pub async fn on_hangup(look: impl Fn()) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                tracing::info!("SIGHUP: reading the certificates again");
                look();
            }
        }
        Err(error) => tracing::warn!(%error, "SIGHUP cannot be caught"),
    }
}
