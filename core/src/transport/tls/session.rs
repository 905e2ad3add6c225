//! An established TLS connection over a non-blocking socket.

use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
};

use parking_lot::{Mutex, MutexGuard};
use rustls::ServerConnection;
use tokio::net::TcpStream;

/// Encrypted bytes that may wait for the kernel.
const PENDING_BYTES_MAX: usize = 64 << 10;

/// The encryption of one connection, shared by its reader and whoever writes. The lock is held for as long
/// as it takes to encrypt or decrypt what one call moves, and never while waiting.
pub(crate) struct TlsSession {
    state: Mutex<State>,
}

struct State {
    connection: ServerConnection,
    /// Something may be decrypted and not read yet, of which the kernel knows nothing.
    is_ahead: bool,
    /// Told by the next read, behind what came before.
    failure: Option<io::Error>,
}

/// The socket as rustls uses it.
pub(super) struct Kernel<'s>(pub(super) &'s TcpStream);

impl Read for Kernel<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Kernel<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TlsSession {
    /// Takes a connection whose handshake is done.
    pub(super) fn new(mut connection: ServerConnection) -> Self {
        connection.set_buffer_limit(Some(PENDING_BYTES_MAX));
        Self {
            state: Mutex::new(State {
                connection,
                // A client may send at once behind its part of the handshake.
                is_ahead: true,
                failure: None,
            }),
        }
    }

    /// True when a read should be tried without waiting for the socket.
    pub(crate) fn is_ahead(&self) -> bool {
        self.state.lock().is_ahead
    }

    /// Reads what is there; 0 is the end.
    pub(crate) fn read(&self, tcp: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if let Some(error) = state.failure.take() {
            return Err(error);
        }
        let (mut filled, mut ended) = (0, false);
        while filled < buffer.len() {
            match state.connection.reader().read(&mut buffer[filled..]) {
                Ok(count) if count > 0 => {
                    filled += count;
                    continue;
                }
                Ok(_) => ended = true,
                // Many programs end without saying so in TLS; what the protocols inside need is told by
                // their own frames.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => ended = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if ended {
                break;
            }
            match receive(&mut state, tcp) {
                Ok(()) => {}
                Err(error) if filled > 0 && error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if filled > 0 => {
                    state.failure = Some(error);
                    break;
                }
                Err(error) => {
                    state.is_ahead = false;
                    return Err(error);
                }
            }
        }
        // Of an end or a failure that came with bytes the kernel does not tell again.
        state.is_ahead = ended || filled == buffer.len() || state.failure.is_some();
        Ok(filled)
    }

    /// Takes what there is room for.
    pub(crate) fn write(&self, tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        // While the kernel is full nothing more is encrypted: that bounds what waits here, and what waits
        // before can still be dropped.
        send(&mut state, tcp)?;
        let taken = state.connection.writer().write(bytes)?;
        sent_or_waiting(send(&mut state, tcp), taken)
    }

    /// Takes what there is room for; small slices share records.
    pub(crate) fn write_vectored(
        &self,
        tcp: &TcpStream,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut state = self.state.lock();
        send(&mut state, tcp)?;
        let taken = state.connection.writer().write_vectored(slices)?;
        sent_or_waiting(send(&mut state, tcp), taken)
    }

    /// Writes what was encrypted and did not fit into the socket.
    pub(crate) fn flush(&self, tcp: &TcpStream) -> io::Result<()> {
        send(&mut self.state.lock(), tcp)
    }

    /// Tells the peer that nothing more comes; to be called again when there is no room.
    pub(crate) fn close_write(&self, tcp: &TcpStream) -> io::Result<()> {
        let mut state = self.state.lock();
        // It does so once, however often it is called.
        state.connection.send_close_notify();
        send(&mut state, tcp)
    }
}

/// Decrypts what came, and answers what TLS itself has to.
fn receive(state: &mut MutexGuard<'_, State>, tcp: &TcpStream) -> io::Result<()> {
    state.connection.read_tls(&mut Kernel(tcp))?;
    let processed = state.connection.process_new_packets();
    // An alert, or the answer to one. Without room it goes out before whatever is written next.
    match send(state, tcp) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock && processed.is_ok() => {
            return Err(error);
        }
        _ => {}
    }
    match processed {
        Ok(_) => Ok(()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

fn send(state: &mut MutexGuard<'_, State>, tcp: &TcpStream) -> io::Result<()> {
    while state.connection.wants_write() {
        match state.connection.write_tls(&mut Kernel(tcp)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What was encrypted counts as taken, also while some of it waits for the kernel.
fn sent_or_waiting(sent: io::Result<()>, taken: usize) -> io::Result<usize> {
    match sent {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(taken),
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSession")
    }
}
