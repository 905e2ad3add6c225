//! A publication under way: it has its place, and is perhaps still to be stored.

use std::fmt;

use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};

use super::pending_writes::PendingWrites;
use crate::{
    backend::BackendError,
    dispatcher::{Refusal, RefusalKind},
    receipt::Receipt,
};

/// A publication that has its [place](super::Space::place): what is published later gets a later one.
#[must_use]
pub enum Publishing {
    /// It was published, or the dispatcher dropped it.
    Done(Option<Receipt>),
    /// It is still to be stored, or to reach other nodes: the future tells what became of it. Dropping that changes
    /// nothing.
    Pending(BoxFuture<'static, Result<Option<Receipt>, Refusal>>),
}

impl Publishing {
    pub(super) fn pending(
        writes: PendingWrites,
        outcome: impl Future<Output = Result<Receipt, BackendError>> + Send + 'static,
    ) -> Self {
        let written = async move { written(&writes, outcome.await).await };
        Self::Pending(written.map_ok(Some).boxed())
    }

    /// Waits until it was published, as [`Space::publish`](super::Space::publish) does.
    ///
    /// # Errors
    /// Those of `publish`.
    pub async fn outcome(self) -> Result<Option<Receipt>, Refusal> {
        match self {
            Self::Done(receipt) => Ok(receipt),
            Self::Pending(outcome) => outcome.await,
        }
    }
}

impl fmt::Debug for Publishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(receipt) => f.debug_tuple("Done").field(receipt).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// What a publisher hears, when what had to be written because of its publication is.
pub(super) async fn written(
    writes: &PendingWrites,
    published: Result<Receipt, BackendError>,
) -> Result<Receipt, Refusal> {
    let receipt = heard(published)?;
    writes.written(receipt.position.timetoken).await?;
    Ok(receipt)
}

/// What a publisher hears of what became of its publication.
pub(super) fn heard<T>(published: Result<T, BackendError>) -> Result<T, Refusal> {
    published.map_err(|error| {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "not published everywhere"
        );
        Refusal::new(RefusalKind::Unavailable, sentence(&error))
    })
}

/// The text of an error as a sentence for a client.
fn sentence(error: &BackendError) -> String {
    let text = match error {
        BackendError::NotStored(cause) => format!("{error}: {cause}"),
        error => error.to_string(),
    };
    let mut chars = text.chars();
    let first = chars
        .next()
        .map(|c| c.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
