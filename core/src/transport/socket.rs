//! A connected socket that a reader and whoever flushes share.

use std::{
    fmt,
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
};

use socket2::SockRef;
use tokio::net::TcpStream;

use super::slots::ConnectionSlot;

/// A connected socket: one task reads, any thread writes, and nothing here waits but
/// [`readable`](Self::readable) and [`writable`](Self::writable).
pub struct Socket {
    tcp: TcpStream,
    peer: Option<SocketAddr>,
    /// Counts the connection against the limits for as long as the socket lives.
    _slot: Option<ConnectionSlot>,
}

impl Socket {
    /// Takes a connected stream.
    pub fn new(tcp: TcpStream) -> Self {
        Self::with_slot(tcp, None)
    }

    pub(super) fn with_slot(tcp: TcpStream, slot: Option<ConnectionSlot>) -> Self {
        let peer = tcp.peer_addr().ok();
        Self {
            tcp,
            peer,
            _slot: slot,
        }
    }

    /// The address of the peer.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Waits until there is something to read. Cancel safe.
    ///
    /// # Errors
    /// When the socket is of no more use.
    pub async fn readable(&self) -> io::Result<()> {
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
        self.tcp.try_read(buffer)
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.try_write(bytes)
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is no room.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tcp.try_write_vectored(slices)
    }

    /// Ends the write side: the peer reads what was written, then the end.
    pub fn shutdown_write(&self) {
        // It fails only when the connection is gone already.
        let _ = SockRef::from(&self.tcp).shutdown(Shutdown::Write);
    }

    /// Ends both sides; a task that waits in [`readable`](Self::readable) is woken.
    pub fn shutdown(&self) {
        let _ = SockRef::from(&self.tcp).shutdown(Shutdown::Both);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({:?})", self.peer)
    }
}
