//! The server's part of a TLS handshake.

use std::{io, sync::Arc};

use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpStream;

use super::session::{Kernel, TlsSession};

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeFailure {
    #[error("the TLS handshake failed")]
    Tls(#[from] rustls::Error),
    #[error("the connection failed during the TLS handshake")]
    Io(#[from] io::Error),
}

/// Shakes hands with a client whose `first` bytes were read already. The caller bounds the time.
pub(crate) async fn handshake(
    tcp: &TcpStream,
    config: Arc<ServerConfig>,
    mut first: &[u8],
) -> Result<TlsSession, HandshakeFailure> {
    let mut connection = ServerConnection::new(config)?;
    while !first.is_empty() {
        connection.read_tls(&mut first)?;
        process(&mut connection, tcp)?;
    }
    loop {
        while connection.wants_write() {
            match connection.write_tls(&mut Kernel(tcp)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tcp.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        if !connection.is_handshaking() {
            return Ok(TlsSession::new(connection));
        }
        tcp.readable().await?;
        match connection.read_tls(&mut Kernel(tcp)) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(_) => process(&mut connection, tcp)?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn process(connection: &mut ServerConnection, tcp: &TcpStream) -> Result<(), rustls::Error> {
    let processed = connection.process_new_packets();
    if processed.is_err() {
        // The alert that says what was wrong, if there is room for it.
        let _ = connection.write_tls(&mut Kernel(tcp));
    }
    processed.map(drop)
}
