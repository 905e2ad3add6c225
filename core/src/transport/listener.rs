//! The accept loop: HTTP by hyper, handed to warp's filters, on sockets that we can take back.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use foldhash::fast::RandomState;
use http::{Method, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::Sleep,
};
use tower_service::Service;
use warp::{Filter, filters::BoxedFilter};

use super::{
    http::{Peer, Response, text},
    socket::Socket,
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
                    let Some(slot) = slots.take(peer.ip(), &runtime) else {
                        tracing::warn!(%peer, "refused a connection: too many are open");
                        continue;
                    };
                    // It fails only when the peer is gone already, which reading shows.
                    let _ = tcp.set_nodelay(true);
                    let io = GuardedTcp::new(tcp, slot, runtime.limits().header_timeout());
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
    let head = io.head.clone();
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
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(runtime.limits().keep_alive_timeout())
        .pipeline_flush(true)
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

/// Open connections by address.
#[derive(Default)]
struct Slots {
    open: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    total: usize,
    by_address: HashMap<IpAddr, usize, RandomState>,
}

impl Slots {
    fn take(self: &Arc<Self>, address: IpAddr, runtime: &Runtime) -> Option<ConnectionSlot> {
        let limits = runtime.limits();
        let mut open = self.open.lock();
        let here = open.by_address.get(&address).copied().unwrap_or(0);
        if open.total >= limits.connections_max || here >= limits.connections_per_address_max {
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, here + 1);
        Some(ConnectionSlot {
            slots: self.clone(),
            address,
        })
    }
}

/// The place of one open connection; given back when dropped.
pub(super) struct ConnectionSlot {
    slots: Arc<Slots>,
    address: IpAddr,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// A stream that fails when the head of a request dribbles in: hyper's own limit also counts the time
/// that a kept-alive connection is idle, which may be long.
pub(super) struct GuardedTcp {
    tcp: TcpStream,
    slot: Option<ConnectionSlot>,
    head: Head,
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What a connection is waiting for.
#[derive(Clone)]
struct Head(Arc<Mutex<HeadState>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum HeadState {
    /// The first head, due from the moment of the accept.
    First,
    /// The next request may begin any time.
    Idle,
    /// A head has begun.
    Begun,
    /// A head is complete and its request is being served.
    Complete,
}

impl Head {
    fn get(&self) -> HeadState {
        *self.0.lock()
    }

    fn complete(&self) {
        *self.0.lock() = HeadState::Complete;
    }

    fn expect(&self) {
        *self.0.lock() = HeadState::Idle;
    }

    fn begin(&self) {
        let mut state = self.0.lock();
        if *state == HeadState::Idle {
            *state = HeadState::Begun;
        }
    }
}

impl GuardedTcp {
    fn new(tcp: TcpStream, slot: ConnectionSlot, limit: Duration) -> Self {
        let head = Head(Arc::new(Mutex::new(HeadState::First)));
        Self {
            tcp,
            slot: Some(slot),
            head,
            limit,
            deadline: None,
        }
    }

    /// The bare socket, after an upgrade.
    pub(super) fn into_socket(self) -> Socket {
        Socket::with_slot(self.tcp, self.slot)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.head.get(), HeadState::Idle | HeadState::Complete) {
            self.deadline = None;
            return Poll::Pending;
        }
        let limit = self.limit;
        self.deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)))
            .as_mut()
            .poll(cx)
    }
}

impl AsyncRead for GuardedTcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.get() == HeadState::Idle {
            // The deadline of the request before.
            self.deadline = None;
        }
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if read.is_ready() {
            self.head.begin();
        }
        // Also when something came: a byte a second must not put the deadline off.
        if self.poll_deadline(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for GuardedTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl fmt::Debug for GuardedTcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedTcp({:?})", self.tcp)
    }
}
