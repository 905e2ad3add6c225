//! How an app shows publications to its clients.

use bytes::Bytes;
use bytestring::ByteString;

use crate::publication::Publication;

/// One message as an app's protocol writes it, before any transport frames it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content without its type.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// A wire format: how an app shows publications to its clients.
///
/// It is called once per publication and transport framing, however many subscribers there are, while
/// the channel is locked: it must not block, and must give the same answer for the same publication.
pub trait Encoder: Send + Sync + 'static {
    /// The message, or `None` when clients of this app are not shown this publication.
    fn encode(&self, publication: &Publication) -> Option<Message>;
}
