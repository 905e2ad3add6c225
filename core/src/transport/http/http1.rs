//! One connection of HTTP/1.1: by hyper, handed to warp's filters, on a socket that we can take back.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use warp::filters::BoxedFilter;

use super::{Response, answering::Answering, watched_body::WatchedBody};
use crate::{drain::DrainPlace, runtime::Runtime, transport::guarded::GuardedSocket};

/// Bytes of a request head: PubNub puts messages of 32 KiB, percent-encoded, into the request line.
const HEAD_BYTES_MAX: usize = 160 << 10;

/// Serves a connection until it ends or is upgraded.
pub(super) async fn serve(
    runtime: Arc<Runtime>,
    routes: BoxedFilter<(Response,)>,
    io: GuardedSocket,
    peer: SocketAddr,
) {
    let (head, place) = (io.head(), DrainPlace::next());
    let answering = Answering {
        routes: warp::service(routes),
        runtime: runtime.clone(),
        peer,
        place,
        slot: io.slot(),
    };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (oddities, watch) = (head.complete(), head.clone());
        let request = request.map(|body| WatchedBody::new(body, move |_| watch.leave_unread()));
        let (head, answer) = (head.clone(), answering.answer(request, oddities));
        async move {
            let answer = answer.await;
            head.expect();
            Ok::<_, Infallible>(answer)
        }
    });
    // Not `pipeline_flush`: it holds a waiting stream back while the client has sent its next request,
    // and buffers without bound.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(runtime.limits().keep_alive_timeout())
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    tokio::pin!(connection);
    let drain = runtime.drain();
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = drain.turn(place) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "an HTTP connection failed");
    }
}
