//! A connected socket that a reader and whoever flushes share.

use std::{
    fmt,
    io::{self, IoSlice, Read},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use super::{read_buffer::with_read_buffer, slots::ConnectionSlot, tls::TlsSession};
use crate::{limits::Limits, turn::Turn};

/// Bytes that a peer may have under way when it is told that its connection ends.
const DRAINED_BYTES_MAX: usize = 16 << 20;

/// A connected socket, with or without TLS: one task reads, any thread writes, and nothing here waits but
/// [`readable`](Self::readable) and [`writable`](Self::writable).
pub struct Socket {
    tcp: TcpStream,
    /// Boxed: most connections have none, and it is large.
    tls: Option<Box<TlsSession>>,
    peer: Option<SocketAddr>,
    /// Counts the connection against the limits for as long as the socket lives.
    slot: Option<Arc<ConnectionSlot>>,
}

impl Socket {
    /// Takes a connected stream.
    pub fn new(tcp: TcpStream) -> Self {
        let peer = tcp.peer_addr().ok();
        Self {
            tcp,
            tls: None,
            peer,
            slot: None,
        }
    }

    /// Takes a stream that our listener accepted.
    pub(crate) fn accepted(tcp: TcpStream, peer: SocketAddr, slot: ConnectionSlot) -> Self {
        Self {
            tcp,
            tls: None,
            peer: Some(peer),
            slot: Some(Arc::new(slot)),
        }
    }

    /// From now on everything goes through TLS.
    pub(crate) fn secure(&mut self, session: TlsSession) {
        self.tls = Some(Box::new(session));
    }

    /// From now on it is from `peer`, as a proxy says that is believed. False where too many are open from there.
    pub(crate) fn speaks_for(&mut self, peer: SocketAddr, limits: &Limits) -> bool {
        self.peer = Some(peer);
        let slot = self.slot.as_ref();
        slot.is_none_or(|slot| slot.count_for(peer.ip(), limits))
    }

    /// What counts it against the limits.
    pub(crate) fn slot(&self) -> Option<Arc<ConnectionSlot>> {
        self.slot.clone()
    }

    /// The stream below, for the TLS handshake.
    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The address of the peer.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// True when the peer speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// True when client and server have agreed on HTTP/2 in the TLS handshake.
    pub(crate) fn speaks_http2(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.speaks_http2())
    }

    /// Waits until there is something to read. Cancel safe.
    ///
    /// # Errors
    /// When the socket is of no more use.
    pub async fn readable(&self) -> io::Result<()> {
        if self.tls.as_ref().is_some_and(|tls| tls.is_ahead()) {
            return Ok(());
        }
        self.tcp.readable().await
    }

    /// Waits until there is room to write. Cancel safe.
    ///
    /// # Errors
    /// When the socket is of no more use.
    pub async fn writable(&self) -> io::Result<()> {
        self.tcp.writable().await
    }

    /// Reads what is there; 0 is the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing is there.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.read_plain(buffer),
            Some(tls) => tls.read(&self.tcp, buffer),
        }
    }

    /// A read that leaves room in the buffer has taken all that was there. Then tokio is told that there is no more, as it
    /// finds out for itself in `poll_read` but not in `try_read`: otherwise every read is followed by one that only says so.
    fn read_plain(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        let tried = self.tcp.try_io(Interest::READABLE, || {
            count = (&*SockRef::from(&self.tcp)).read(buffer)?;
            let is_all = 0 < count && count < buffer.len() && cfg!(target_os = "linux");
            if is_all {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        match tried {
            Err(error) if count == 0 => Err(error),
            _ => Ok(count),
        }
    }

    /// Writes what there is room for. With TLS some of it may wait to be [flushed](Self::try_flush).
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.try_write(bytes),
            Some(tls) => tls.write(&self.tcp, bytes),
        }
    }

    /// Writes what there is room for. With TLS some of it may wait to be [flushed](Self::try_flush).
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.try_write_vectored(slices),
            Some(tls) => tls.write_vectored(&self.tcp, slices),
        }
    }

    /// Hands the system what a write took and is not in its hands yet; without TLS there never is such.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room for all of it.
    pub fn try_flush(&self) -> io::Result<()> {
        match &self.tls {
            None => Ok(()),
            Some(tls) => tls.flush(&self.tcp),
        }
    }

    /// Has the system find out whether an idle peer is still there: after a minute, and every 15 s.
    pub fn keep_alive(&self) {
        let keep_alive = TcpKeepalive::new()
            .with_time(Duration::from_secs(60))
            .with_interval(Duration::from_secs(15));
        if let Err(error) = SockRef::from(&self.tcp).set_tcp_keepalive(&keep_alive) {
            tracing::debug!(%error, "could not set the keep-alive of a connection");
        }
    }

    /// Ends the write side: the peer reads what was written, then the end. It may be repeated.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room for the end of TLS. That the connection is gone
    /// already is no error.
    pub fn shutdown_write(&self) -> io::Result<()> {
        if let Some(tls) = &self.tls
            && let Err(error) = tls.close_write(&self.tcp)
            && error.kind() == io::ErrorKind::WouldBlock
        {
            return Err(error);
        }
        // It fails only when the connection is gone already.
        let _ = SockRef::from(&self.tcp).shutdown(Shutdown::Write);
        Ok(())
    }

    /// Reads until the peer has closed too: a socket that is closed with unread bytes would take back what was sent last. A
    /// peer that goes on sending is not read for ever; a wait that is too long is ended by [`shutdown`](Self::shutdown).
    pub(crate) async fn drain(&self) {
        let mut turn = Turn::begin();
        let mut drained = 0;
        while drained < DRAINED_BYTES_MAX && turn.wait(self.readable()).await.is_ok() {
            match with_read_buffer(|buffer| self.try_read(buffer)) {
                Ok(0) => return,
                Ok(count) => drained += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            turn.give_way().await;
        }
    }

    /// Ends both sides; a task that waits in [`readable`](Self::readable) is woken.
    pub fn shutdown(&self) {
        if let Some(tls) = &self.tls {
            // A peer that has room for it can tell the end from a cut.
            let _ = tls.close_write(&self.tcp);
        }
        let _ = SockRef::from(&self.tcp).shutdown(Shutdown::Both);
    }

    /// Tries again whenever there is room.
    fn poll_write_with<T>(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&Self) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match write(self) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.tcp.poll_write_ready(cx))?;
                }
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(tls) = &self.tls else {
            return Pin::new(&mut self.tcp).poll_read(cx, buffer);
        };
        loop {
            match tls.read(&self.tcp, buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.tcp.poll_read_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.tls.is_none() {
            return Pin::new(&mut self.tcp).poll_write(cx, bytes);
        }
        self.poll_write_with(cx, |socket| socket.try_write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tls.is_none() {
            return Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        }
        self.poll_write_with(cx, |socket| socket.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_with(cx, Self::try_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_with(cx, Self::shutdown_write)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("peer", &self.peer)
            .field("tls", &self.is_tls())
            .finish_non_exhaustive()
    }
}
