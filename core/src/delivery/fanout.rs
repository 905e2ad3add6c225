//! One publication on its way to many receivers.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Encoder, Flush, Flusher, Outbox, Pushed, sheet::Placed};
use crate::{publication::Publication, transport::Framing};

/// One publication on its way to the receivers of this node: keeps what was encoded, so that each
/// wire format is encoded once, and who has to be flushed.
pub struct Fanout<'a> {
    publication: &'a Publication,
    flusher: &'a Flusher,
    encoded: SmallVec<[Encoded; 4]>,
    dirty: &'a mut Vec<Arc<dyn Flush>>,
}

/// The publication in one wire format; no frame where its clients are not shown it.
struct Encoded {
    encoder: usize,
    framing: Framing,
    frame: Option<Bytes>,
    /// The same for those who keep it.
    kept: Option<Arc<Bytes>>,
    /// How many connections got it so far, up to what matters.
    uses: Uses,
    /// The same bytes beside the other frames of the batch, once several connections want them.
    placed: Option<Placed>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Uses {
    None,
    /// Most channels have one subscriber, and a frame for one is not worth a place among others.
    One,
    Several,
}

impl<'a> Fanout<'a> {
    /// A fan-out that adds whoever needs a flush to `dirty`.
    pub fn new(
        publication: &'a Publication,
        flusher: &'a Flusher,
        dirty: &'a mut Vec<Arc<dyn Flush>>,
    ) -> Self {
        Self {
            publication,
            flusher,
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
        let index = self.encode(encoder, framing);
        self.encoded[index].frame.clone()
    }

    /// The publication as `encoder` writes it, without a frame, for connections that keep it: a reference takes a
    /// quarter of what a [`frame`](Self::frame) takes.
    pub fn kept(&mut self, encoder: &Arc<dyn Encoder>) -> Option<Arc<Bytes>> {
        let index = self.encode(encoder, Framing::Raw);
        let encoded = &mut self.encoded[index];
        if encoded.kept.is_none() {
            encoded.kept = encoded.frame.clone().map(Arc::new);
        }
        encoded.kept.clone()
    }

    /// Puts the publication, as `encoder` writes it, into a connection's queue.
    pub fn send(&mut self, outbox: &Arc<Outbox>, encoder: &Arc<dyn Encoder>, framing: Framing) {
        let index = self.encode(encoder, framing);
        let encoded = &mut self.encoded[index];
        let Some(frame) = &encoded.frame else {
            return;
        };
        match encoded.uses {
            Uses::None => encoded.uses = Uses::One,
            Uses::One => {
                encoded.uses = Uses::Several;
                encoded.placed = self.flusher.place(frame);
            }
            Uses::Several => {}
        }
        if outbox.push_shared(frame, encoded.placed.as_ref()) == Pushed::NeedsFlush {
            self.dirty.push(outbox.clone());
        }
    }

    /// Puts a frame that was made for one connection into its queue.
    pub fn push(&mut self, outbox: &Arc<Outbox>, frame: Bytes) {
        if outbox.push(frame) == Pushed::NeedsFlush {
            self.dirty.push(outbox.clone());
        }
    }

    /// Puts a frame of several parts that is made for one connection into its queue.
    pub(super) fn push_joined(&mut self, outbox: &Arc<Outbox>, head: &[u8], parts: &[&[u8]]) {
        if outbox.push_joined(head, parts) == Pushed::NeedsFlush {
            self.dirty.push(outbox.clone());
        }
    }

    /// Asks for a flush when the batch ends.
    pub fn flush_later(&mut self, what: Arc<dyn Flush>) {
        self.dirty.push(what);
    }

    /// The place of a wire format among what was encoded.
    fn encode(&mut self, encoder: &Arc<dyn Encoder>, framing: Framing) -> usize {
        let key = Arc::as_ptr(encoder).cast::<()>() as usize;
        let known = |encoded: &Encoded| encoded.encoder == key && encoded.framing == framing;
        if let Some(index) = self.encoded.iter().position(known) {
            return index;
        }
        let message = encoder.encode(self.publication);
        self.encoded.push(Encoded {
            encoder: key,
            framing,
            frame: message.map(|message| framing.frame_owned(message)),
            kept: None,
            uses: Uses::None,
            placed: None,
        });
        self.encoded.len() - 1
    }
}

impl fmt::Debug for Fanout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fanout")
            .field("publication", self.publication)
            .finish_non_exhaustive()
    }
}
