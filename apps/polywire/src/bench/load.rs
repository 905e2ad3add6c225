//! The load: many connections on one thread, with an event loop of its own, so that one core of this
//! program keeps one core of a server busy.

use std::{
    io,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token};

use super::{
    BenchError,
    connection::Connection,
    protocols::{Client, Protocol, Role},
    record::{Record, Scanner},
    target::Target,
    traffic::Traffic,
};

/// What one read takes at most. More than a socket's buffer usually holds, so that one read empties it.
const READ_BYTES: usize = 1 << 20;

/// Bytes that may wait on a publisher's connection before it publishes no more.
const PUBLISHER_BYTES_MAX: usize = 1 << 20;

/// Connections that are subscribers and publishers, in this order.
pub(super) struct Load<'p> {
    protocol: &'p dyn Protocol,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    subscribers: usize,
    /// Connections that are not open yet.
    pub(super) opening: usize,
    scanner: Scanner,
    buffer: Box<[u8]>,
    text: String,
    size: usize,
    /// What all times are counted from.
    began: Instant,
    pub(super) traffic: Traffic,
}

impl<'p> Load<'p> {
    pub(super) fn new(
        protocol: &'p dyn Protocol,
        size: usize,
        traffic: Traffic,
    ) -> Result<Self, BenchError> {
        Ok(Self {
            protocol,
            poll: Poll::new().map_err(BenchError::Poll)?,
            events: Events::with_capacity(1024),
            connections: Vec::new(),
            subscribers: 0,
            opening: 0,
            scanner: Scanner::new(size),
            buffer: vec![0; READ_BYTES].into(),
            text: String::new(),
            size,
            began: Instant::now(),
            traffic,
        })
    }

    /// Connects one more; subscribers come before publishers.
    pub(super) fn connect(&mut self, target: &Target, client: Client) -> Result<(), BenchError> {
        let index = self.connections.len();
        let refused = |error| BenchError::Connect(target.address, error);
        let mut connection =
            Connection::open(target.address, target.session()?, index, client).map_err(refused)?;
        // Edges are told once, so waiting for both costs nothing.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry
            .register(&mut connection.stream, Token(index), interest)
            .map_err(BenchError::Poll)?;
        self.opening += 1;
        self.subscribers += usize::from(client.role == Role::Subscriber);
        self.connections.push(connection);
        self.go_on_opening(index)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Subscribers that no message has reached.
    pub(super) fn unreached(&self) -> impl Iterator<Item = &Connection> {
        self.connections[..self.subscribers]
            .iter()
            .filter(|connection| !connection.reached)
    }

    /// True when more can be published on this channel now.
    pub(super) fn takes(&self, channel: usize) -> bool {
        let publisher = &self.connections[self.publisher(channel)];
        !publisher.closed && publisher.out.len() < PUBLISHER_BYTES_MAX
    }

    /// Publishes a message that is not counted.
    pub(super) fn probe(&mut self, channel: usize) -> Result<(), BenchError> {
        self.write(channel, 0);
        self.flush(self.publisher(channel))
    }

    /// Publishes a message; it leaves with [`flush`](Self::flush).
    pub(super) fn publish(&mut self, channel: usize) {
        let number = self.traffic.publish(channel);
        self.write(channel, number);
    }

    fn write(&mut self, channel: usize, number: u32) {
        let nanos = self.nanos();
        Record { nanos, number }.write(self.size, &mut self.text);
        let index = self.publisher(channel);
        let out = &mut self.connections[index].out;
        self.protocol.publish(channel, &self.text, out);
    }

    /// The publisher of a channel.
    fn publisher(&self, channel: usize) -> usize {
        self.subscribers + channel % (self.connections.len() - self.subscribers)
    }

    /// Writes what publishers have to say.
    pub(super) fn flush_publishers(&mut self) -> Result<(), BenchError> {
        for index in self.subscribers..self.connections.len() {
            if !self.connections[index].out.is_empty() {
                self.flush(index)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, index: usize) -> Result<(), BenchError> {
        match self.connections[index].flush() {
            Ok(()) => Ok(()),
            Err(_) => self.closed(index),
        }
    }

    /// Waits for something to happen, and does what it asks for.
    pub(super) fn turn(&mut self, timeout: Duration) -> Result<(), BenchError> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(BenchError::Poll(error));
            }
            _ => {}
        }
        for event in &events {
            let index = event.token().0;
            if event.is_readable() {
                self.read(index)?;
            }
            if event.is_writable() && self.connections[index].wants_write() {
                self.flush(index)?;
            }
        }
        self.events = events;
        Ok(())
    }

    fn read(&mut self, index: usize) -> Result<(), BenchError> {
        loop {
            let connection = &mut self.connections[index];
            if connection.closed {
                return Ok(());
            }
            let count = match connection.read(&mut self.buffer) {
                Ok(count @ 1..) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // What waited for the end of a handshake.
                    return if connection.may_have_more() && connection.wants_write() {
                        self.flush(index)
                    } else {
                        Ok(())
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error)
                    if error.kind() == io::ErrorKind::InvalidData && connection.is_securing() =>
                {
                    return Err(BenchError::Untrusted(error));
                }
                Ok(0) | Err(_) => return self.closed(index),
            };
            self.take(index, count)?;
            // The buffer was not filled: the socket is empty, and an edge tells when it no longer is.
            if count < self.buffer.len() && !self.connections[index].may_have_more() {
                return Ok(());
            }
        }
    }

    /// Looks at what was read.
    fn take(&mut self, index: usize, count: usize) -> Result<(), BenchError> {
        let now = self.nanos();
        let (connection, bytes) = (&mut self.connections[index], &self.buffer[..count]);
        if let Some(opening) = &mut connection.opening {
            opening.received.extend_from_slice(bytes);
            return self.go_on_opening(index);
        }
        if connection.client.role == Role::Publisher {
            let refused = |answer| BenchError::Refused {
                who: name(connection.client),
                answer,
            };
            return self.protocol.answer(bytes).map_err(refused);
        }
        let mut tail = std::mem::take(&mut connection.tail);
        self.scanner.scan(&mut tail, bytes, |record| {
            self.traffic.deliver(connection, record, now);
        });
        connection.tail = tail;
        Ok(())
    }

    fn go_on_opening(&mut self, index: usize) -> Result<(), BenchError> {
        let Connection {
            opening,
            out,
            client,
            ..
        } = &mut self.connections[index];
        let Some(step) = opening else {
            return Ok(());
        };
        let refused = |answer| BenchError::Refused {
            who: name(*client),
            answer,
        };
        if self.protocol.open(step, out).map_err(refused)? {
            *opening = None;
            self.opening -= 1;
        }
        self.flush(index)
    }

    fn closed(&mut self, index: usize) -> Result<(), BenchError> {
        let connection = &mut self.connections[index];
        if connection.closed {
            return Ok(());
        }
        if connection.opening.is_some() || (!connection.reached && index < self.subscribers) {
            return Err(BenchError::ClosedEarly(name(connection.client)));
        }
        connection.closed = true;
        connection.out.clear();
        // The descriptor is closed at the end; what the system says of it until then is ignored.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        self.traffic.close(connection, index < self.subscribers);
        if self.traffic.closed == self.connections.len() as u64 {
            return Err(BenchError::AllClosed);
        }
        Ok(())
    }

    fn nanos(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }
}

fn name(client: Client) -> String {
    match client.role {
        Role::Subscriber => format!("subscriber {}", client.number + 1),
        Role::Publisher => format!("publisher {}", client.number + 1),
    }
}
