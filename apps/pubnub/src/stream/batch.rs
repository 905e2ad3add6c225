//! The answer of the streams to a cursor.

use std::sync::Arc;

use polywire_core::Channel;

use super::entry::Entry;

/// What a read found.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The cursor behind it.
    pub(crate) cursor: u64,
    /// In order: an entry, and by which name of the set it was found.
    pub(crate) found: Vec<(Arc<Entry>, usize)>,
    /// Where something that came after the cursor is, or may be, not here any more.
    pub(crate) gaps: Vec<Gap>,
    /// Something that came after the cursor is nowhere any more.
    pub(crate) is_late: bool,
}

/// Where something is not here any more.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) scope: GapScope,
    /// The name of the set that led there.
    pub(crate) index: usize,
}

#[derive(Debug)]
pub(crate) enum GapScope {
    Channel(Channel),
    /// Some of the channels below this level: which ones is not known here any more either.
    Below(String),
}
