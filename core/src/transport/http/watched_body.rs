//! The body of a request, and what becomes of it when nobody reads it to its end.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// A body that is handed on when it is left before its end.
pub(super) struct WatchedBody<F: FnOnce(Incoming)> {
    /// The body, and to whom it is handed on; none when that was done.
    watched: Option<(Incoming, F)>,
}

impl<F: FnOnce(Incoming)> WatchedBody<F> {
    pub(super) fn new(body: Incoming, on_left: F) -> Self {
        Self {
            watched: Some((body, on_left)),
        }
    }
}

impl<F: FnOnce(Incoming) + Unpin> Body for WatchedBody<F> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.watched {
            Some((body, _)) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let watched = self.watched.as_ref();
        watched.is_none_or(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.watched.as_ref().map(|(body, _)| body.size_hint());
        body.unwrap_or_default()
    }
}

impl<F: FnOnce(Incoming)> Drop for WatchedBody<F> {
    fn drop(&mut self) {
        if let Some((body, on_left)) = self.watched.take()
            && !body.is_end_stream()
        {
            on_left(body);
        }
    }
}
