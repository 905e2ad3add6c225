//! Watch of certificate files: new ones are taken when they change.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Certificate;

/// Time between two looks at the files.
const EVERY: Duration = Duration::from_secs(1);

/// Takes new certificates when their files change, or when `at_once` says so, until `stop`.
pub(crate) async fn watch(
    certificates: Vec<Arc<Certificate>>,
    at_once: Arc<Notify>,
    stop: CancellationToken,
) {
    let certificates: Arc<[_]> = certificates.into();
    loop {
        let at_once = tokio::select! {
            () = tokio::time::sleep(EVERY) => false,
            () = at_once.notified() => true,
            () = stop.cancelled() => return,
        };
        let certificates = certificates.clone();
        // A file may lie on a disk that is slow, or far away.
        let looked = tokio::task::spawn_blocking(move || {
            certificates
                .iter()
                .for_each(|certificate| certificate.refresh(at_once));
        });
        if let Err(error) = looked.await {
            tracing::error!(%error, "could not look at the files of the certificates");
        }
    }
}
