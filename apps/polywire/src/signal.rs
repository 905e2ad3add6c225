//! The signals that a server answers to.

use std::future::Future;

use rustix::process::Signal;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

/// Waits for SIGINT (Ctrl-C) or SIGTERM, which count from the call on, before the first poll. Cancel safe.
///
/// # Panics
/// Outside a tokio runtime.
pub fn stop_signal() -> impl Future<Output = ()> + Send {
    let signals = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    async move {
        let Ok((mut interrupt, mut terminate)) = signals else {
            tracing::error!("signals cannot be caught; the server runs until it is killed");
            return std::future::pending().await;
        };
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!(signal = name, "stopping");
    }
}

/// Waits as [`stop_signal`] does, and then for a reason not to take long over it: a second signal, or that the first was SIGINT, for
/// somebody waits at a terminal.
///
/// # Panics
/// Outside a tokio runtime.
pub fn stop_signals() -> (
    impl Future<Output = ()> + Send,
    impl Future<Output = ()> + Send,
) {
    let signals = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let hurry = async move {
        let Ok((mut interrupt, mut terminate)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => return,
            _ = terminate.recv() => {}
        }
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping at once: it was asked for again");
    };
    (stop_signal(), hurry)
}

/// Has a write beyond the limit of file sizes (`ulimit -f`) fail like one to a full disk, instead of ending the program: SIGXFSZ
/// does that where nobody catches it. Called at the start of the program, before there is a runtime.
///
/// # Panics
/// Inside a tokio runtime.
pub fn survive_file_size_limit() {
    let kind = SignalKind::from_raw(Signal::XFSZ.as_raw());
    // It stays caught also when nobody listens, and when this runtime is gone.
    let runtime = runtime::Builder::new_current_thread().enable_io().build();
    if let Err(error) = runtime.and_then(|runtime| runtime.block_on(async { signal(kind) })) {
        tracing::warn!(%error, "SIGXFSZ cannot be caught: a limit of file sizes ends the program");
    }
}

/// Calls `look` for every SIGHUP, which from then on does not end the program any more: the habit of servers
/// to be told of new certificates.
pub async fn on_hangup(look: impl Fn()) {
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
