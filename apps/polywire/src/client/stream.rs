//! A connection to a server, with TLS or without.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use polywire::cli::ServerFlags;
use rustls::{ClientConnection, StreamOwned};

use super::{ClientError, tls};

/// How long a connection, or a step of its handshake, may take.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects to the first address of the server that answers.
    pub(super) fn connect(flags: &ServerFlags) -> Result<Self, ClientError> {
        let server = &flags.server;
        // Whom to trust is found out before anybody is asked.
        let session = match server.tls {
            true => {
                let config = tls::config(flags.ca.as_deref())?;
                Some(tls::connection(&config, &server.host)?)
            }
            false => None,
        };
        let tcp = connect(&server.host, server.port)
            .map_err(|error| ClientError::Connect(server.to_string(), error))?;
        let Some(session) = session else {
            return Ok(Self::Plain(tcp));
        };
        let mut stream = StreamOwned::new(session, tcp);
        shake_hands(&mut stream)
            .map_err(|error| ClientError::Untrusted(server.to_string(), error))?;
        Ok(Self::Tls(Box::new(stream)))
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                // What is flushed shall leave; without it only the delay is worse.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn shake_hands(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> io::Result<()> {
    stream.sock.set_read_timeout(Some(TIMEOUT))?;
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    stream.sock.set_read_timeout(None)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
