//! Pages of history, each read in its turn and held until the client has taken it.

use http::StatusCode;
use polywire_core::{
    HistoryError, Origin, Page, Query, Refusal, Space, Stored, http::Response, space::HeldBytes,
};

use crate::error::error;

/// Publications of a page, and those of the first one, which shows how long they are.
const PAGE: usize = 200;
pub(crate) const FIRST_PAGE: usize = 16;

/// Bytes that a page should have, about.
const PAGE_BYTES: usize = 1 << 20;

/// Bytes of a publication beside what it says, and of an annotation, about.
const AROUND_BYTES: usize = 256;

const NOT_KEPT: &str =
    "No history is kept: start the server with --data-dir DIR, or with --persistence memory.";
const UNREADABLE: &str = "The history cannot be read now; try again later.";

/// Why a page was not read.
pub(crate) enum NotRead {
    /// Too much is being read.
    Busy(Refusal),
    /// The store did not answer.
    Failed(HistoryError),
}

impl NotRead {
    /// The answer to a request that cannot begin.
    pub(crate) fn answer(&self) -> Response {
        let status = match self {
            Self::Failed(HistoryError::NotKept) => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        error(status, &self.message())
    }

    /// The same in a sentence.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Busy(refusal) => refusal.message.clone(),
            Self::Failed(HistoryError::NotKept) => NOT_KEPT.to_owned(),
            Self::Failed(cause) => {
                let cause = cause as &dyn std::error::Error;
                tracing::warn!(error = cause, "history could not be read");
                UNREADABLE.to_owned()
            }
        }
    }
}

/// Reads a page in its turn. It counts as in memory until what is returned beside it is dropped.
pub(crate) async fn in_turn(
    space: &Space,
    origin: &Origin,
    read: impl Future<Output = Result<Option<Page>, HistoryError>>,
) -> Result<Option<(Page, HeldBytes)>, NotRead> {
    let mut reading = space
        .history_reads()
        .begin(origin)
        .await
        .map_err(NotRead::Busy)?;
    let Some(page) = read.await.map_err(NotRead::Failed)? else {
        return Ok(None);
    };
    reading.hold(bytes(&page)).await.map_err(NotRead::Busy)?;
    Ok(Some((page, reading.end())))
}

/// What is behind a page, with as many publications as are about as long as a page should be.
pub(crate) fn rest(page: &Page, query: &Query) -> Option<Query> {
    let mut rest = page.rest(query)?;
    let each = bytes(page) / page.entries.len().max(1);
    rest.limit = (PAGE_BYTES / each.max(1)).clamp(1, PAGE);
    Some(rest)
}

/// Bytes of a page, about.
fn bytes(page: &Page) -> usize {
    let of = |stored: &Stored| {
        AROUND_BYTES * (1 + stored.annotations.len()) + stored.publication.bytes()
    };
    page.entries.iter().map(of).sum()
}
