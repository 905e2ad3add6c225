//! What waits in an outbox.

use bytes::Bytes;

use super::sheet::Placed;

/// One or more whole frames that wait for a connection.
#[derive(Debug)]
pub(super) enum Piece {
    /// On the sheet of a batch.
    Placed(Placed),
    /// In a buffer of their own.
    Own(Bytes),
    /// One after another in a buffer of their own, which further ones are added to.
    Joined(Vec<u8>),
}

impl Piece {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Placed(placed) => placed.len(),
            Self::Own(bytes) => bytes.len(),
            Self::Joined(bytes) => bytes.len(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Placed(placed) => placed.bytes(),
            Self::Own(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }

    /// Lets go of the sheet: a queue that waits long must hold no more than its own bytes.
    pub(super) fn settle(&mut self) {
        if let Self::Placed(placed) = self {
            *self = Self::Own(placed.copied());
        }
    }
}
