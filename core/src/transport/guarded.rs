//! The stream under an HTTP connection, with limits in time.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{long_line::LongLine, transfer_coding};
use crate::{
    counters::Counter,
    memory::{Draw, Held},
    net::{ConnectionSlot, Socket, with_read_buffer},
    runtime::Runtime,
};

/// How long a refused body is read on.
const LINGER: Duration = Duration::from_secs(2);

/// Reads in a row of a refused body.
const LINGER_READS: usize = 16;

/// Bytes of hyper's buffer while it holds no longer head. A power of two.
const BUFFER_BYTES: usize = 16 << 10;

/// Bytes of one read. hyper doubles its buffer when a read fills it, and keeps it while the rest of a request is waited for.
const READ_BYTES_MAX: usize = BUFFER_BYTES - 1;

/// A stream that fails when the head of a request dribbles in, or when the peer takes nothing of an
/// answer.
///
/// hyper's own limit for heads also counts the time that a kept-alive connection is idle, which may be
/// long; for answers it has none.
pub(super) struct GuardedSocket {
    socket: Socket,
    /// What was read to recognise the protocol, to be read again.
    read_ahead: Bytes,
    head: Head,
    line: LongLine,
    /// Bytes of the head that is arriving.
    head_bytes: usize,
    /// What hyper holds of the memory budget.
    draw: Draw,
    no_room: Arc<Counter>,
    head_limit: Duration,
    head_deadline: Option<Pin<Box<Sleep>>>,
    stall_limit: Duration,
    stall_deadline: Option<Pin<Box<Sleep>>>,
    /// When the end is not put off any longer for a client that still sends.
    linger_deadline: Option<Pin<Box<Sleep>>>,
}

/// What a connection is waiting for.
#[derive(Clone)]
pub(super) struct Head(Arc<Mutex<Watched>>);

struct Watched {
    state: HeadState,
    oddities: Oddities,
    /// Part of a body is left, which nobody reads.
    is_unread: bool,
}

/// What was odd about a head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    /// The target of the request was too long: only its beginning was read.
    pub(super) is_cut: bool,
    /// It has a transfer coding other than `chunked`, which was hidden.
    pub(super) has_unknown_coding: bool,
}

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

/// The counter of connections that are closed since the memory budget has no room for what they have begun to say.
pub(super) fn no_room(runtime: &Runtime) -> Arc<Counter> {
    let counters = runtime.counters();
    counters.of("server", "closed an HTTP connection: others hold too much")
}

impl Head {
    fn get(&self) -> HeadState {
        self.0.lock().state
    }

    /// A head is complete; what was odd about it.
    pub(super) fn complete(&self) -> Oddities {
        let mut watched = self.0.lock();
        watched.state = HeadState::Complete;
        watched.is_unread = false;
        std::mem::take(&mut watched.oddities)
    }

    /// The request is answered; the next one may begin any time.
    pub(super) fn expect(&self) {
        self.0.lock().state = HeadState::Idle;
    }

    fn begin(&self) {
        let mut watched = self.0.lock();
        if watched.state == HeadState::Idle {
            watched.state = HeadState::Begun;
        }
    }

    fn note(&self, is_cut: bool, has_unknown_coding: bool) {
        if is_cut || has_unknown_coding {
            let oddities = &mut self.0.lock().oddities;
            oddities.is_cut |= is_cut;
            oddities.has_unknown_coding |= has_unknown_coding;
        }
    }

    /// The body of the request is left before its end: the connection ends behind the answer.
    pub(super) fn leave_unread(&self) {
        self.0.lock().is_unread = true;
    }

    fn is_unread(&self) -> bool {
        self.0.lock().is_unread
    }
}

impl GuardedSocket {
    /// Takes a connection with what was read of it, and the time when the first head must be complete, where that
    /// is being waited for already.
    pub(super) fn new(
        socket: Socket,
        read_ahead: Bytes,
        runtime: &Runtime,
        due: Option<Instant>,
    ) -> Self {
        let limits = runtime.limits();
        Self {
            socket,
            read_ahead,
            head: Head(Arc::new(Mutex::new(Watched {
                state: HeadState::First,
                oddities: Oddities::default(),
                is_unread: false,
            }))),
            line: LongLine::default(),
            head_bytes: 0,
            draw: Draw::new(Held::Connections),
            no_room: no_room(runtime),
            head_limit: limits.header_timeout(),
            head_deadline: due.map(|due| Box::pin(tokio::time::sleep_until(due))),
            stall_limit: limits.outbound_stall(),
            stall_deadline: None,
            linger_deadline: None,
        }
    }

    /// To be told what the connection is waiting for.
    pub(super) fn head(&self) -> Head {
        self.head.clone()
    }

    /// What counts the connection against the limits.
    pub(super) fn slot(&self) -> Option<Arc<ConnectionSlot>> {
        self.socket.slot()
    }

    /// Has the system find out whether an idle peer is still there.
    pub(super) fn keep_alive(&self) {
        self.socket.keep_alive();
    }

    /// The bare socket, after an upgrade.
    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    fn poll_read_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = buf.remaining().min(READ_BYTES_MAX);
        if !self.read_ahead.is_empty() {
            let count = count.min(self.read_ahead.len());
            buf.put_slice(&self.read_ahead.split_to(count));
            return Poll::Ready(Ok(()));
        }
        with_read_buffer(|buffer| {
            let mut read = ReadBuf::new(&mut buffer[..count]);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
            buf.put_slice(read.filled());
            Poll::Ready(Ok(()))
        })
    }

    /// Draws for what hyper holds when so many bytes more have come.
    fn draw(&mut self, more: usize) -> io::Result<()> {
        if self.head.get() == HeadState::Complete {
            self.head_bytes = 0;
        } else {
            self.head_bytes += more;
        }
        if self.draw.resize(BUFFER_BYTES.max(self.head_bytes)) {
            return Ok(());
        }
        self.no_room.add();
        Err(io::ErrorKind::OutOfMemory.into())
    }

    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.head.get(), HeadState::Idle | HeadState::Complete) {
            self.head_deadline = None;
            return Poll::Pending;
        }
        let limit = self.head_limit;
        self.head_deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)))
            .as_mut()
            .poll(cx)
    }

    /// Reads on for a moment, and throws away what comes: a socket that is closed with unread bytes takes back the answer
    /// that a client has yet to read.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self
            .linger_deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        for _ in 0..LINGER_READS {
            let read = with_read_buffer(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                let read = Pin::new(&mut self.socket).poll_read(cx, &mut buffer);
                read.map(|read| read.is_ok() && !buffer.filled().is_empty())
            });
            if !ready!(read) {
                return Poll::Ready(());
            }
        }
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Fails a write that has waited too long for the peer.
    fn guard_write<T>(
        &mut self,
        write: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stall_deadline = None;
            return write;
        }
        let limit = self.stall_limit;
        self.stall_deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)))
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.get() == HeadState::Idle {
            // The deadline of the request before.
            self.head_deadline = None;
            self.line = LongLine::default();
            self.head_bytes = 0;
        }
        let start = buf.filled().len();
        let read = loop {
            let read = self.poll_read_some(cx, buf);
            let came = buf.filled().len() > start;
            if came && self.head.get() != HeadState::Complete {
                let is_cut = self.line.take(buf, start);
                let read = &mut buf.filled_mut()[start..];
                self.head.note(is_cut, transfer_coding::hide_unknown(read));
            }
            // Nothing would mean the end of the stream.
            if !came || buf.filled().len() > start {
                break read;
            }
        };
        if read.is_ready() {
            self.head.begin();
            let came = buf.filled().len() - start;
            self.draw(came)?;
        }
        // Also when something came: a byte a second must not put the deadline off.
        if self.poll_head_deadline(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for GuardedSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.guard_write(write, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.guard_write(write, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.socket).poll_flush(cx);
        self.guard_write(flush, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.socket).poll_shutdown(cx);
        ready!(self.guard_write(shutdown, cx))?;
        if self.head.is_unread() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for GuardedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guarded{:?}", self.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::Limits,
        net::{Slots, TrustedProxies},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    /// A peer, and the connection that it has.
    async fn connected(limits: Limits) -> (TcpStream, GuardedSocket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (tcp, address) = listener.accept().await.unwrap();
        let slot = Arc::new(Slots::default()).take(Some(address.ip()), &limits);
        let socket = Socket::accepted(tcp, address, slot.unwrap());
        let runtime = Runtime::start(limits, TrustedProxies::default());
        (
            peer,
            GuardedSocket::new(socket, Bytes::new(), &runtime, None),
        )
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let limits = Limits {
            outbound_stall_secs: 1,
            ..Limits::default()
        };
        let (_peer, mut guarded) = connected(limits).await;
        // More than the kernel keeps for a connection.
        let written = guarded.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_hyper_holds_is_drawn_and_does_not_grow_by_bodies() {
        let (mut peer, mut guarded) = connected(Limits::default()).await;
        let mut buffer = vec![0; 64 << 10];
        let mut read = 0;
        let head = [b"GET /".as_slice(), &[b'x'; 40_000]].concat();
        peer.write_all(&head).await.unwrap();
        while read < head.len() {
            read += guarded.read(&mut buffer).await.unwrap();
        }
        assert_eq!(guarded.draw.bytes(), head.len());
        guarded.head().complete();
        let body = vec![b'x'; 200_000];
        peer.write_all(&body).await.unwrap();
        read = 0;
        while read < body.len() {
            let count = guarded.read(&mut buffer).await.unwrap();
            assert!(count < BUFFER_BYTES, "hyper would double its buffer");
            read += count;
        }
        assert_eq!(guarded.draw.bytes(), BUFFER_BYTES);
    }
}
