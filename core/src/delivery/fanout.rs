//! One publication on its way to many receivers.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    Encoder, Flush, Flusher, Numbering, Outbox, Pushed,
    batch_buffer::BatchSlice,
    numbered::{Numbered, length_before},
};
use crate::{framing::Framing, publication::Publication};

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
    shape: Shape,
    frame: Option<Bytes>,
    /// The same for those who keep it.
    kept: Option<Arc<Bytes>>,
    /// How many connections got it so far, up to what matters.
    uses: Uses,
    /// The same bytes beside the other frames of the batch, once several connections want them.
    placed: Option<BatchSlice>,
}

/// What becomes of what an encoder wrote.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Framed(Framing),
    /// The body of a message that has a number on each connection, and is framed with it.
    Body,
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
        let index = self.encode(encoder, Shape::Framed(framing));
        self.encoded[index].frame.clone()
    }

    /// The publication as `encoder` writes it, without a frame, for connections that keep it: a reference takes a
    /// quarter of what a [`frame`](Self::frame) takes.
    pub fn kept(&mut self, encoder: &Arc<dyn Encoder>) -> Option<Arc<Bytes>> {
        let index = self.encode(encoder, Shape::Body);
        let encoded = &mut self.encoded[index];
        if encoded.kept.is_none() {
            encoded.kept = encoded.frame.clone().map(Arc::new);
        }
        encoded.kept.clone()
    }

    /// Puts the publication, as `encoder` writes it, into a connection's queue.
    pub fn send(&mut self, outbox: &Arc<Outbox>, encoder: &Arc<dyn Encoder>, framing: Framing) {
        let index = self.encode(encoder, Shape::Framed(framing));
        let encoded = &mut self.encoded[index];
        encoded.used(self.flusher);
        let Some(frame) = &encoded.frame else {
            return;
        };
        if outbox.push_shared(frame, encoded.placed.as_ref()) == Pushed::NeedsFlush {
            self.dirty.push(outbox.clone());
        }
    }

    /// Puts the publication, as `encoder` writes it and with the number that it has there, into the queue of a
    /// WebSocket.
    pub(crate) fn send_numbered(
        &mut self,
        outbox: &Arc<Outbox>,
        encoder: &Arc<dyn Encoder>,
        numbering: Numbering,
        number: u64,
    ) {
        let index = self.encode(encoder, Shape::Body);
        let encoded = &mut self.encoded[index];
        encoded.used(self.flusher);
        let Some(body) = &encoded.frame else {
            return;
        };
        let message = Numbered {
            body,
            number,
            numbering,
        };
        if outbox.push_numbered(&message, encoded.placed.as_ref()) == Pushed::NeedsFlush {
            self.dirty.push(outbox.clone());
        }
    }

    /// Puts a frame that was made for one connection into its queue.
    pub fn push(&mut self, outbox: &Arc<Outbox>, frame: Bytes) {
        if outbox.push(frame) == Pushed::NeedsFlush {
            self.dirty.push(outbox.clone());
        }
    }

    /// Asks for a flush when the batch ends.
    pub fn flush_later(&mut self, what: Arc<dyn Flush>) {
        self.dirty.push(what);
    }

    /// The place of a wire format among what was encoded.
    fn encode(&mut self, encoder: &Arc<dyn Encoder>, shape: Shape) -> usize {
        let key = Arc::as_ptr(encoder).cast::<()>() as usize;
        let known = |encoded: &Encoded| encoded.encoder == key && encoded.shape == shape;
        if let Some(index) = self.encoded.iter().position(known) {
            return index;
        }
        let frame = encoder.encode(self.publication).map(|message| match shape {
            Shape::Framed(framing) => framing.frame_owned(message),
            Shape::Body => Framing::Raw.frame_owned(message),
        });
        self.encoded.push(Encoded {
            encoder: key,
            shape,
            frame,
            kept: None,
            uses: Uses::None,
            placed: None,
        });
        self.encoded.len() - 1
    }
}

impl Encoded {
    /// One more connection gets it.
    fn used(&mut self, flusher: &Flusher) {
        match self.uses {
            Uses::None => self.uses = Uses::One,
            Uses::One => {
                self.uses = Uses::Several;
                self.placed = self.place(flusher);
            }
            Uses::Several => {}
        }
    }

    #[cold]
    fn place(&self, flusher: &Flusher) -> Option<BatchSlice> {
        let frame = self.frame.as_ref()?;
        match self.shape {
            Shape::Framed(_) => flusher.place(&[frame]),
            Shape::Body => flusher.place(&[&length_before(frame)?, frame]),
        }
    }
}

impl fmt::Debug for Fanout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fanout")
            .field("publication", self.publication)
            .finish_non_exhaustive()
    }
}
