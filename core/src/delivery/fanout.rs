//! One publication on its way to many receivers.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Encoder, Flush, Outbox, Pushed};
use crate::{publication::Publication, transport::Framing};

/// One publication on its way to the receivers of this node: keeps what was encoded, so that each
/// wire format is encoded once, and who has to be flushed.
pub struct Fanout<'a> {
    publication: &'a Publication,
    encoded: SmallVec<[Encoded; 4]>,
    /// The one in `encoded` that was asked for last.
    last: usize,
    dirty: &'a mut Vec<Arc<dyn Flush>>,
}

struct Encoded {
    encoder: usize,
    framing: Framing,
    frame: Option<Bytes>,
}

impl<'a> Fanout<'a> {
    /// A fan-out that adds whoever needs a flush to `dirty`.
    pub fn new(publication: &'a Publication, dirty: &'a mut Vec<Arc<dyn Flush>>) -> Self {
        Self {
            publication,
            encoded: SmallVec::new(),
            last: 0,
            dirty,
        }
    }

    /// What is delivered.
    pub fn publication(&self) -> &'a Publication {
        self.publication
    }

    /// The publication as `encoder` writes it, in the frame of a transport; shared by all receivers.
    pub fn frame(&mut self, encoder: &Arc<dyn Encoder>, framing: Framing) -> Option<Bytes> {
        self.encoded(encoder, framing).cloned()
    }

    /// Puts the frame for `encoder` and `framing` into a connection's queue.
    pub(crate) fn deliver(
        &mut self,
        outbox: &Arc<Outbox>,
        encoder: &Arc<dyn Encoder>,
        framing: Framing,
    ) {
        if let Some(frame) = self.encoded(encoder, framing)
            && outbox.push_shared(frame) == Pushed::NeedsFlush
        {
            self.dirty.push(outbox.clone());
        }
    }

    fn encoded(&mut self, encoder: &Arc<dyn Encoder>, framing: Framing) -> Option<&Bytes> {
        let key = Arc::as_ptr(encoder).cast::<()>() as usize;
        let known = |e: &Encoded| e.encoder == key && e.framing == framing;
        // Neighbours mostly speak the same protocol.
        if !self.encoded.get(self.last).is_some_and(known) {
            self.last = match self.encoded.iter().position(known) {
                Some(index) => index,
                None => {
                    let message = encoder.encode(self.publication);
                    self.encoded.push(Encoded {
                        encoder: key,
                        framing,
                        frame: message.map(|message| framing.frame(&message)),
                    });
                    self.encoded.len() - 1
                }
            };
        }
        self.encoded[self.last].frame.as_ref()
    }

    /// Puts a frame into a connection's queue.
    pub fn push(&mut self, outbox: &Arc<Outbox>, frame: Bytes) {
        if outbox.push(frame) == Pushed::NeedsFlush {
            self.dirty.push(outbox.clone());
        }
    }

    /// Asks for a flush when the batch ends.
    pub fn flush_later(&mut self, what: Arc<dyn Flush>) {
        self.dirty.push(what);
    }
}

impl fmt::Debug for Fanout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fanout")
            .field("publication", self.publication)
            .finish_non_exhaustive()
    }
}
