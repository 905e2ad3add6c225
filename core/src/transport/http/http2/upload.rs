//! The body of a request over HTTP/2.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::runtime::Runtime;

/// How long a refused body is read on.
const LINGER: Duration = Duration::from_secs(2);

/// A body that is read on for a moment when it is left before its end: a client that is told to stop while it sends takes that
/// for a failure, and does not see the answer.
pub(super) struct Upload {
    body: Option<Incoming>,
    runtime: Arc<Runtime>,
}

impl Upload {
    pub(super) fn new(body: Incoming, runtime: Arc<Runtime>) -> Self {
        Self {
            body: Some(body),
            runtime,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        self.runtime.spawn(async move {
            let rest = async {
                while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
            };
            // What comes later is refused.
            let _ = tokio::time::timeout(LINGER, rest).await;
        });
    }
}
