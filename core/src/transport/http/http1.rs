//! One HTTP connection: HTTP by hyper, handed to warp's filters, on a socket that we can take back.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tower_service::Service;
use warp::{Filter, filters::BoxedFilter};

use super::{
    Peer, Response, head_rules, json,
    request::{Cut, HeadOnly},
    text,
};
use crate::{
    runtime::Runtime,
    transport::guarded::{GuardedSocket, Head, Oddities},
};

/// Bytes of a request head: PubNub puts messages of 32 KiB, percent-encoded, into the request line.
const HEAD_BYTES_MAX: usize = 160 << 10;

/// Serves a connection until it ends or is upgraded.
pub(super) async fn serve(
    runtime: Arc<Runtime>,
    routes: BoxedFilter<(Response,)>,
    io: GuardedSocket,
    peer: SocketAddr,
) {
    let (head, slot) = (io.head(), io.slot());
    let runtime_of_service = runtime.clone();
    let service = warp::service(routes.map(|response: Response| response));
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        let Oddities {
            is_cut,
            has_unknown_coding,
        } = head.complete();
        detach(&mut request);
        let refusal = if has_unknown_coding {
            Some(head_rules::unknown_coding())
        } else {
            head_rules::refusal(request.version(), request.headers())
        };
        if request.method() == Method::HEAD {
            // It is answered like GET; hyper leaves the body out. Nothing is upgraded by it.
            *request.method_mut() = Method::GET;
            request.extensions_mut().insert(HeadOnly);
            request.extensions_mut().remove::<OnUpgrade>();
        }
        let watch = head.clone();
        let mut request = request.map(|body| WatchedBody { body, head: watch });
        let client = runtime_of_service
            .trusted_proxies()
            .client(peer, request.headers());
        let limits = runtime_of_service.limits();
        // Of a proxy's connections each counts for the client of its latest request.
        let is_counted = client.ip() == peer.ip()
            || slot
                .as_ref()
                .is_none_or(|slot| slot.count_for(client.ip(), limits));
        let refusal = refusal.or_else(|| {
            let sentence = || head_rules::too_many_connections(&runtime_of_service);
            (!is_counted).then(|| head_rules::unavailable(sentence()))
        });
        let (head, mut service) = (head.clone(), service.clone());
        async move {
            // CONNECT has no path, which warp 0.4.3 takes badly.
            let answer = if let Some(refusal) = refusal {
                refusal
            } else if request.method() == Method::CONNECT {
                text(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "CONNECT is not served here.\n",
                )
            } else {
                request.extensions_mut().insert(Peer(client));
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

/// The body of a request, which tells when it is dropped before its end.
struct WatchedBody {
    body: Incoming,
    head: Head,
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.head.leave_unread();
        }
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
