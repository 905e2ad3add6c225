//! `serve-floor`: the physical limit of fan-out over TCP with one thread. Whatever one read of a publisher
//! brings is framed once, and the same bytes are written to every subscriber with one write each. No
//! protocol, no routing, no channels.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use socket2::{Domain, Socket, Type};

use super::{
    BenchError,
    protocols::floor::{PUBLISHER, SUBSCRIBER, WELCOME},
};

const LISTENER: Token = Token(usize::MAX);

const BACKLOG: i32 = 4096;

const READ_BYTES: usize = 256 << 10;

/// Bytes of a message; what says more is not a publisher of this protocol.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Bytes that may wait for a subscriber that does not read.
const BACKLOG_BYTES_MAX: usize = 64 << 20;

struct Peer {
    stream: TcpStream,
    is_publisher: Option<bool>,
    /// From a publisher: what is no whole message yet. For a subscriber: what its socket did not take.
    pending: Vec<u8>,
}

/// Serves until the process is ended.
pub(super) fn serve(address: SocketAddr) -> Result<(), BenchError> {
    let mut listener = listen(address).map_err(|error| BenchError::Listen(address, error))?;
    let bound = listener.local_addr().unwrap_or(address);
    let mut poll = Poll::new().map_err(BenchError::Poll)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)
        .map_err(BenchError::Poll)?;
    crate::exit::printed(writeln!(io::stdout(), "listening on {bound}"))
        .map_err(BenchError::Output)?;

    let mut events = Events::with_capacity(1024);
    let mut floor = Floor {
        peers: Vec::new(),
        free: Vec::new(),
        buffer: vec![0; READ_BYTES].into(),
        frames: Vec::new(),
    };
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(BenchError::Poll(error));
            }
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener, &poll),
                Token(index) => {
                    if event.is_readable() {
                        floor.read(index);
                    }
                    if event.is_writable() {
                        floor.write_pending(index);
                    }
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

struct Floor {
    /// By token; none where a connection has ended.
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    buffer: Box<[u8]>,
    frames: Vec<u8>,
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) {
        while let Ok((mut stream, _)) = listener.accept() {
            let index = self.free.pop().unwrap_or(self.peers.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = poll
                .registry()
                .register(&mut stream, Token(index), interest);
            if registered.is_err() || stream.set_nodelay(true).is_err() {
                continue;
            }
            let peer = Peer {
                stream,
                is_publisher: None,
                pending: Vec::new(),
            };
            if index == self.peers.len() {
                self.peers.push(Some(peer));
            } else {
                self.peers[index] = Some(peer);
            }
        }
    }

    fn read(&mut self, index: usize) {
        loop {
            let Some(peer) = &mut self.peers[index] else {
                return;
            };
            let count = match peer.stream.read(&mut self.buffer) {
                Ok(count @ 1..) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => return self.close(index),
            };
            let mut bytes = &self.buffer[..count];
            if peer.is_publisher.is_none() {
                peer.is_publisher = Some(bytes[0] == PUBLISHER);
                if bytes[0] == SUBSCRIBER {
                    // A new socket takes a byte.
                    let _ = peer.stream.write(&[WELCOME]);
                }
                bytes = &bytes[1..];
            }
            if peer.is_publisher == Some(true) {
                peer.pending.extend_from_slice(bytes);
                if frame(&mut peer.pending, &mut self.frames).is_err() {
                    return self.close(index);
                }
                self.write_frames();
            }
            if count < self.buffer.len() {
                return;
            }
        }
    }

    /// Writes the frames to every subscriber.
    fn write_frames(&mut self) {
        if self.frames.is_empty() {
            return;
        }
        for index in 0..self.peers.len() {
            let Some(peer) = &mut self.peers[index] else {
                continue;
            };
            if peer.is_publisher != Some(false) {
                continue;
            }
            if peer.pending.is_empty() {
                let written = match peer.stream.write(&self.frames) {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    Err(_) => {
                        self.close(index);
                        continue;
                    }
                };
                peer.pending.extend_from_slice(&self.frames[written..]);
            } else if peer.pending.len() < BACKLOG_BYTES_MAX {
                peer.pending.extend_from_slice(&self.frames);
            } else {
                self.close(index);
            }
        }
        self.frames.clear();
    }

    /// Goes on with what a subscriber's socket did not take.
    fn write_pending(&mut self, index: usize) {
        let Some(peer) = &mut self.peers[index] else {
            return;
        };
        while peer.is_publisher == Some(false) && !peer.pending.is_empty() {
            match peer.stream.write(&peer.pending) {
                Ok(count) => drop(peer.pending.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.close(index),
            }
        }
    }

    fn close(&mut self, index: usize) {
        // Dropping the stream takes it out of the poll.
        self.peers[index] = None;
        self.free.push(index);
    }
}

/// Moves whole messages from `pending` to `frames`, each behind the header of a WebSocket frame.
fn frame(pending: &mut Vec<u8>, frames: &mut Vec<u8>) -> Result<(), ()> {
    let mut at = 0;
    while let Some((length, rest)) = pending[at..].split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(());
        }
        let Some(message) = rest.get(..length) else {
            break;
        };
        match length {
            0..126 => frames.extend_from_slice(&[0x82, length as u8]),
            126..0x1_0000 => {
                frames.extend_from_slice(&[0x82, 126]);
                frames.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                frames.extend_from_slice(&[0x82, 127]);
                frames.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frames.extend_from_slice(message);
        at += 4 + length;
    }
    pending.drain(..at);
    Ok(())
}
