//! The body of a receiving answer.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;

use super::{receiving::Receiving, session::Receiver};

/// The body of a receiving answer: each item is a chunk of its own, and leaves at once.
pub(super) struct FrameStream {
    receiving: Receiving,
    prelude: Option<Bytes>,
    source: Source,
    /// Bytes of frames until the answer ends.
    left: usize,
}

enum Source {
    Session(Receiver),
    /// One frame, without a session.
    Single(String),
    Ended,
}

impl FrameStream {
    /// The frames of a session, until `response_bytes_max` is reached.
    pub(super) fn session(
        receiving: Receiving,
        receiver: Receiver,
        response_bytes_max: usize,
    ) -> Self {
        Self::new(receiving, Source::Session(receiver), response_bytes_max)
    }

    /// One frame and no more.
    pub(super) fn single(receiving: Receiving, frame: String) -> Self {
        Self::new(receiving, Source::Single(frame), 1)
    }

    fn new(receiving: Receiving, source: Source, response_bytes_max: usize) -> Self {
        Self {
            prelude: receiving.prelude(),
            left: receiving.limit(response_bytes_max).max(1),
            receiving,
            source,
        }
    }
}

impl Stream for FrameStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(prelude) = this.prelude.take() {
            return Poll::Ready(Some(Ok(prelude)));
        }
        let receiver = match &this.source {
            Source::Session(receiver) => receiver,
            Source::Single(frame) => {
                let chunk = this.receiving.write(frame);
                this.source = Source::Ended;
                return Poll::Ready(Some(Ok(chunk)));
            }
            Source::Ended => return Poll::Ready(None),
        };
        let Some(frame) = std::task::ready!(receiver.poll_frame(cx)) else {
            this.source = Source::Ended;
            return Poll::Ready(None);
        };
        let chunk = this.receiving.write(&frame.text);
        this.left = this.left.saturating_sub(chunk.len());
        if frame.is_last || this.left == 0 {
            receiver.detach();
            this.source = Source::Ended;
        }
        Poll::Ready(Some(Ok(chunk)))
    }
}
