//! One connection of the load.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};

use super::protocols::{Client, Opening};

/// How long the system may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections from one source address: below the number of ports that Linux gives out by itself.
const CONNECTIONS_PER_SOURCE: usize = 20_000;

pub(super) struct Connection {
    pub(super) stream: TcpStream,
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
    pub(super) fn open(address: SocketAddr, index: usize, client: Client) -> io::Result<Self> {
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

    /// Writes as much as the socket takes; the rest goes when it can be written again.
    pub(super) fn flush(&mut self) -> io::Result<()> {
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
