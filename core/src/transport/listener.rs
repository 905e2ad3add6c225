//! The accept loop: HTTP by hyper, handed to warp's filters, on sockets that we can take back.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Method, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Type};
use tokio::net::TcpListener;
use tower_service::Service;
use warp::{Filter, filters::BoxedFilter};

use super::{
    guarded::GuardedTcp,
    http::{Peer, Response, text},
    slots::Slots,
};
use crate::runner::Runtime;

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: i32 = 4096;

/// Bytes of a request head: PubNub puts messages of 32 KiB, percent-encoded, into the request line.
const HEAD_BYTES_MAX: usize = 160 << 10;

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is in use or not one of this machine's.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        // A restarted server must not wait for the old connections' TIME_WAIT.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let tcp = TcpListener::from_std(socket.into())?;
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address })
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `routes` until the runtime stops.
    pub async fn serve(self, runtime: Arc<Runtime>, routes: BoxedFilter<(Response,)>) {
        let slots = Arc::new(Slots::default());
        let stop = runtime.stopping();
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    let Some(slot) = slots.take(peer.ip(), runtime.limits()) else {
                        tracing::warn!(%peer, "refused a connection: too many are open");
                        continue;
                    };
                    // It fails only when the peer is gone already, which reading shows.
                    let _ = tcp.set_nodelay(true);
                    let io = GuardedTcp::new(tcp, slot, runtime.limits());
                    runtime.spawn(serve_http(runtime.clone(), routes.clone(), io, peer));
                }
                Err(error) => {
                    // Out of descriptors, mostly: wait for connections to end instead of spinning.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

async fn serve_http(
    runtime: Arc<Runtime>,
    routes: BoxedFilter<(Response,)>,
    io: GuardedTcp,
    peer: SocketAddr,
) {
    let head = io.head();
    let service = warp::service(routes.map(|response: Response| response));
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        head.complete();
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
                match service.call(request).await {
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
