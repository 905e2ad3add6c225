//! Annotations: data attached to a publication afterwards.

use bytestring::ByteString;

use crate::{identity::ClientId, publication::Timetoken};

/// Something attached to a publication afterwards, such as a reaction or a receipt.
///
/// Kind, value and author together make it: the same client cannot attach the same thing twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// When it was attached; names it among those of its publication.
    pub at: Timetoken,
    /// The sort, such as `reaction`.
    pub kind: ByteString,
    /// The value, such as `smiley`.
    pub value: ByteString,
    /// Who attached it.
    pub author: Option<ClientId>,
}

impl Annotation {
    /// Annotations that a publication may have. Another one is refused with
    /// [`HistoryError::Full`](crate::HistoryError::Full).
    pub const PER_PUBLICATION_MAX: usize = 25_000;

    /// True when `other` says the same by the same author.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.value == other.value && self.author == other.author
    }
}
