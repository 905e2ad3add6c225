//! One connection of the load.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use mio::net::TcpStream;
use rustls::ClientConnection;
use socket2::{Domain, Socket, Type};

use super::protocols::{Client, Opening};

/// How long the system may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections from one source address: below the number of ports that Linux gives out by itself.
const CONNECTIONS_PER_SOURCE: usize = 20_000;

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Where TLS is spoken.
    tls: Option<Box<ClientConnection>>,
    pub(super) client: Client,
    /// Until the protocol has been opened.
    pub(super) opening: Option<Opening>,
    /// The last number that was received on the channel; 0 before the first.
    pub(super) last: u32,
    /// How many numbered messages were received.
    pub(super) received: u64,
    /// True once any message has come.
    pub(super) reached: bool,
    pub(super) closed: bool,
    /// What the scanner keeps.
    pub(super) tail: Vec<u8>,
    pub(super) out: Vec<u8>,
}

impl Connection {
    pub(super) fn open(
        address: SocketAddr,
        tls: Option<Box<ClientConnection>>,
        index: usize,
        client: Client,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        if let IpAddr::V4(to) = address.ip()
            && to.is_loopback()
        {
            // 127.0.0.2 and on: all of 127.0.0.0/8 is this machine, so ports do not run out.
            let source = 2 + (index / CONNECTIONS_PER_SOURCE) as u32;
            let source = Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 0).to_bits() + source);
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        socket.connect_timeout(&address.into(), CONNECT_TIMEOUT)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(socket.into()),
            tls,
            opening: Some(Opening::new(client)),
            client,
            last: 0,
            received: 0,
            reached: false,
            closed: false,
            tail: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Reads what has come, decrypted where it has to be.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.read(buffer);
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            let processed = tls.process_new_packets();
            // A step of the handshake, an alert: what it does not take now goes with the next flush.
            while tls.wants_write() && tls.write_tls(&mut self.stream).is_ok() {}
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    /// True during the handshake of TLS.
    pub(super) fn is_securing(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// True when what was just read says nothing about whether there is more.
    pub(super) fn may_have_more(&self) -> bool {
        self.tls.is_some()
    }

    /// Writes as much as the socket takes; the rest goes when it can be written again.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return self.flush_plain();
        };
        loop {
            // It takes a bounded amount before that is written.
            let count = tls.writer().write(&self.out)?;
            self.out.drain(..count);
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            // During the handshake it keeps what it took.
            if self.out.is_empty() || count == 0 {
                return Ok(());
            }
        }
    }

    /// True when something waits to be written.
    pub(super) fn wants_write(&self) -> bool {
        !self.out.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    fn flush_plain(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            if written == self.out.len() {
                break Ok(());
            }
            match self.stream.write(&self.out[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.out.drain(..written);
        result
    }
}
