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
            dirty,
        }
    }

    /// What is delivered.
    pub fn publication(&self) -> &'a Publication {
        self.publication
    }

    /// The publication as `encoder` writes it, in the frame of a transport; shared by all receivers.
    pub fn frame(&mut self, encoder: &Arc<dyn Encoder>, framing: Framing) -> Option<Bytes> {
        let key = Arc::as_ptr(encoder).cast::<()>() as usize;
        let known = self
            .encoded
            .iter()
            .find(|e| e.encoder == key && e.framing == framing);
        if let Some(known) = known {
            return known.frame.clone();
        }
        let frame = encoder
            .encode(self.publication)
            .map(|message| framing.frame(&message));
        self.encoded.push(Encoded {
            encoder: key,
            framing,
            frame: frame.clone(),
        });
        frame
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
