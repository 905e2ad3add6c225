//! An established TLS connection over a non-blocking socket.

use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
};

use parking_lot::Mutex;
use rustls::ServerConnection;
use tokio::net::TcpStream;

use super::alpn::HTTP_2;

/// Encrypted bytes that may wait for the kernel.
const PENDING_BYTES_MAX: usize = 64 << 10;

/// The encryption of one connection, shared by its reader and whoever writes. The lock is held for as long
/// as it takes to encrypt or decrypt what one call moves, and never while waiting.
pub(crate) struct TlsSession {
    state: Mutex<TlsState>,
}

struct TlsState {
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
            state: Mutex::new(TlsState {
                connection,
                // A client may send at once behind its part of the handshake.
                is_ahead: true,
                failure: None,
            }),
        }
    }

    /// True when HTTP/2 was agreed on.
    pub(crate) fn speaks_http2(&self) -> bool {
        self.state.lock().connection.alpn_protocol() == Some(HTTP_2)
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
fn receive(state: &mut TlsState, tcp: &TcpStream) -> io::Result<()> {
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

fn send(state: &mut TlsState, tcp: &TcpStream) -> io::Result<()> {
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
#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        sync::Arc,
        time::Duration,
    };

    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::ServerName,
    };
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::tls::{Certificate, TlsOptions, handshake};

    type Client = StreamOwned<ClientConnection, std::net::TcpStream>;

    /// Both ends of a connection on which the client has sent five bytes.
    async fn connected() -> (TcpStream, TlsSession, Client) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = TlsOptions::new(folder.path().join("c"), folder.path().join("k"));
        std::fs::write(&options.certificate, made.cert.pem()).unwrap();
        std::fs::write(&options.key, made.signing_key.serialize_pem()).unwrap();
        let config = Certificate::load(&options).unwrap().server_config(true);
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = crate::cryptography::provider();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = tokio::task::spawn_blocking(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let connection = ClientConnection::new(Arc::new(client), name).unwrap();
            let tcp = std::net::TcpStream::connect(address).unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut client = StreamOwned::new(connection, tcp);
            // With the end of the handshake in one piece.
            client.write_all(b"early").unwrap();
            client
        });
        let (tcp, _) = listener.accept().await.unwrap();
        let session = handshake(&tcp, config.unwrap(), &[]).await.unwrap();
        (tcp, session, client.await.unwrap())
    }

    async fn read_exact(session: &TlsSession, tcp: &TcpStream, count: usize) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 3]);
        while all.len() < count {
            if !session.is_ahead() {
                tcp.readable().await.unwrap();
            }
            match session.read(tcp, &mut buffer) {
                Ok(0) => panic!("the end after {all:?}"),
                Ok(count) => all.extend(&buffer[..count]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        all
    }

    #[tokio::test]
    async fn what_is_decrypted_already_is_read_without_the_kernel() {
        let (tcp, session, mut client) = connected().await;
        assert_eq!(read_exact(&session, &tcp, 5).await, b"early");
        // One record, read in small pieces.
        client.write_all(b"0123456789").unwrap();
        assert_eq!(read_exact(&session, &tcp, 10).await, b"0123456789");
        assert!(!session.is_ahead());
        // The end, also where the peer keeps the connection open below.
        client.conn.send_close_notify();
        client.flush().unwrap();
        loop {
            if !session.is_ahead() {
                tcp.readable().await.unwrap();
            }
            match session.read(&tcp, &mut [0; 16]) {
                Ok(count) => break assert_eq!(count, 0),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }

    #[tokio::test]
    async fn what_the_kernel_does_not_take_is_bounded_and_goes_out_later() {
        let (tcp, session, mut client) = connected().await;
        let block = vec![7; 1 << 20];
        let mut taken = 0;
        loop {
            match session.write(&tcp, &block) {
                Ok(count) => {
                    assert!(count <= PENDING_BYTES_MAX);
                    taken += count;
                }
                Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            assert!(taken < 64 << 20, "the kernel takes everything");
        }
        let full = session.flush(&tcp).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        // The end waits behind it, and is not doubled by trying again.
        for _ in 0..3 {
            let full = session.close_write(&tcp).unwrap_err();
            assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        }
        let reader = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).map(|count| (count, all))
        });
        while session.close_write(&tcp).is_err() {
            tcp.writable().await.unwrap();
        }
        let (count, all) = reader.await.unwrap().unwrap();
        assert_eq!(count, taken);
        assert!(all.iter().all(|byte| *byte == 7));
    }

    #[tokio::test]
    async fn keys_are_renewed_by_either_side_while_bytes_go_on() {
        let (tcp, session, mut client) = connected().await;
        assert_eq!(read_exact(&session, &tcp, 5).await, b"early");
        for round in 0..5 {
            // It asks for ours to be renewed too.
            client.conn.refresh_traffic_keys().unwrap();
            client.write_all(b"ask").unwrap();
            assert_eq!(read_exact(&session, &tcp, 3).await, b"ask");
            let answer = [round; 100];
            let slices = [IoSlice::new(&answer[..40]), IoSlice::new(&answer[40..])];
            assert_eq!(session.write_vectored(&tcp, &slices).unwrap(), 100);
            let mut read = [0; 100];
            client.read_exact(&mut read).unwrap();
            assert_eq!(read, answer);
        }
    }

    #[tokio::test]
    async fn a_record_that_was_tampered_with_ends_the_connection_behind_what_came_before() {
        let (tcp, session, mut client) = connected().await;
        assert_eq!(read_exact(&session, &tcp, 5).await, b"early");
        // A record of application data that nobody encrypted.
        client.sock.write_all(&[23, 3, 3, 0, 20]).unwrap();
        client.sock.write_all(&[9; 20]).unwrap();
        let error = loop {
            tcp.readable().await.unwrap();
            match session.read(&tcp, &mut [0; 16]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => break other.unwrap_err(),
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        // The peer is told by an alert.
        assert!(client.read(&mut [0; 16]).is_err());
    }
}
