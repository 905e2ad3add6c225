//! The encoder of an app: a publication in its clients' format.

use crate::{framing::Message, publication::Publication};

/// A wire format: how an app shows publications to its clients.
///
/// It is called once per publication and transport framing, however many subscribers there are, while
/// the channel is locked: it must not block, and must give the same answer for the same publication.
pub trait Encoder: Send + Sync + 'static {
    /// The message, or `None` when clients of this app are not shown this publication.
    fn encode(&self, publication: &Publication) -> Option<Message>;
}
