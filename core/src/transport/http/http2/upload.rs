//! What becomes of the body of a request over HTTP/2 that nobody reads to its end.

use std::{future::poll_fn, pin::Pin, time::Duration};

use hyper::body::{Body, Incoming};

/// How long a refused body is read on.
const LINGER: Duration = Duration::from_secs(2);

/// Reads on for a moment: a client that is told to stop while it sends takes that for a failure, and does not see the answer.
pub(super) async fn read_on(mut body: Incoming) {
    let rest =
        async { while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} };
    // What comes later is refused.
    let _ = tokio::time::timeout(LINGER, rest).await;
}
