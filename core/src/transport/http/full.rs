//! One HTTP connection: HTTP by hyper, handed to warp's filters, on a socket that we can take back.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tower_service::Service;
use warp::{Filter, filters::BoxedFilter};

use super::{Peer, Response, json, request::Cut, text};
use crate::{runtime::Runtime, transport::guarded::GuardedSocket};

/// Bytes of a request head: PubNub puts messages of 32 KiB, percent-encoded, into the request line.
const HEAD_BYTES_MAX: usize = 160 << 10;

/// Serves a connection until it ends or is upgraded.
pub(super) async fn serve(
    runtime: Arc<Runtime>,
    routes: BoxedFilter<(Response,)>,
    io: GuardedSocket,
    peer: SocketAddr,
) {
    let head = io.head();
    let service = warp::service(routes.map(|response: Response| response));
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        let is_cut = head.complete();
        detach(&mut request);
        let (head, mut service) = (head.clone(), service.clone());
        async move {
            // CONNECT has no path, which warp 0.4.3 takes badly.
            let answer = if request.method() == Method::CONNECT {
                text(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "CONNECT is not served here.\n",
                )
            } else {
                request.extensions_mut().insert(Peer(peer));
                if is_cut {
                    request.extensions_mut().insert(Cut);
                }
                match service.call(request).await {
                    // What nobody took is not there, or might be if it were not so long.
                    Ok(answer) if is_cut && answer.status() == StatusCode::NOT_FOUND => json(
                        StatusCode::URI_TOO_LONG,
                        r#"{"status":414,"message":"The address is too long."}"#,
                    ),
                    Ok(answer) => answer,
                    Err(never) => match never {},
                }
            };
            head.expect();
            Ok::<_, std::convert::Infallible>(answer)
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
    let stop = runtime.stopping();
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "an HTTP connection failed");
    }
}

/// Copies what hyper left in its read buffer. A request that is held for minutes, as a long poll is, would keep
/// that buffer of 8 KiB, and hyper would take another one to see whether the client goes away.
fn detach(request: &mut http::Request<Incoming>) {
    let uri = Bytes::from(request.uri().to_string());
    if let Ok(uri) = http::Uri::from_maybe_shared(uri) {
        *request.uri_mut() = uri;
    }
    for value in request.headers_mut().values_mut() {
        if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
            copy.set_sensitive(value.is_sensitive());
            *value = copy;
        }
    }
}
