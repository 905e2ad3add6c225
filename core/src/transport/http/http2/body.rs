//! The body of an answer over HTTP/2, in pieces that a client makes room for.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::streams::Stream;

/// Bytes of one piece. Whether a client takes anything is seen by whole pieces.
const PIECE_BYTES_MAX: usize = 4 << 10;

pin_project! {
    /// A body that hands over a little at a time: what is handed over waits outside of every bound until the client makes room
    /// for it, and no more is asked for before.
    pub(super) struct PiecewiseBody<B> {
        // None where only the head is wanted.
        #[pin]
        body: Option<B>,
        // Came from the body, and is handed over next.
        rest: Bytes,
        stream: Arc<Stream>,
    }
}

impl<B> PiecewiseBody<B> {
    pub(super) fn new(body: Option<B>, stream: Arc<Stream>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            stream,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for PiecewiseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if this.rest.is_empty() {
            let Some(body) = this.body.as_pin_mut() else {
                return Poll::Ready(None);
            };
            let Some(frame) = ready!(body.poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            match frame?.into_data() {
                Ok(bytes) => *this.rest = bytes,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let count = this.rest.len().min(PIECE_BYTES_MAX);
        let piece = this.stream.hand_over(this.rest.split_to(count));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref().map(Body::size_hint);
        let (rest, hint) = (self.rest.len() as u64, body.unwrap_or_default());
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}
