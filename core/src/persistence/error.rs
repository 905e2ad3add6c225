//! Reasons why something was not kept or cannot be read.

use std::{error::Error, sync::Arc};

/// Why a publication was not kept.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PersistenceError {
    /// The store cannot be reached or refused.
    #[error("the store failed")]
    Store(#[source] Arc<dyn Error + Send + Sync>),
    /// There is no room left in the store.
    #[error("the store is full; make room, and publishing goes on by itself")]
    Full,
    /// The files of the store were deleted while it was in use.
    #[error(
        "the files of the store were deleted under the server; nothing is kept until it is started again"
    )]
    Gone,
    /// The policy was stopped.
    #[error("the store is closed")]
    Closed,
    /// A setting is wrong; the text says which and what to do.
    #[error("{0}")]
    Configuration(String),
}

impl PersistenceError {
    /// The store failed with `source`.
    pub fn store(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Store(source.into().into())
    }
}

/// Why history cannot be read or changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The store cannot be reached or refused.
    #[error("the store failed")]
    Store(#[source] Arc<dyn Error + Send + Sync>),
    /// There is no such publication to attach something to.
    #[error("there is no publication with that timetoken")]
    NotFound,
    /// The same annotation is there already; this is its time.
    #[error("that annotation is there already")]
    Exists(crate::Timetoken),
    /// A publication has no room for more annotations, or the store for more of anything.
    #[error("there is no room for more")]
    Full,
    /// The policy that is in charge of the channel keeps nothing that could be read.
    #[error("no history is kept for this channel")]
    NotKept,
}

impl HistoryError {
    /// The store failed with `source`.
    pub fn store(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Store(source.into().into())
    }
}
