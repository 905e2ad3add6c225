//! MQTT 3.1.1: subscribers with and without a session, and a publisher of QoS 1.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::{Answer, Publish, Subscribe, Watch, socket};

/// A connection, and its packets.
#[derive(Debug)]
pub(super) struct Connection(TcpStream);

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

impl Connection {
    /// CONNECT without a keep-alive; whether there was a session.
    pub(super) fn open(stream: TcpStream, id: &str, clean: bool) -> io::Result<(Self, bool)> {
        let mut connection = Self(stream);
        let mut body = b"\0\x04MQTT\x04\0\0\0".to_vec();
        body[7] = u8::from(clean) << 1;
        body.extend(text(id));
        connection.send(0x10, &body)?;
        match connection.packet()? {
            (0x20, answer) if answer[1] == 0 => Ok((connection, answer[0] == 1)),
            other => Err(socket::nonsense(&other)),
        }
    }

    /// SUBSCRIBE to all of these, with packet id 1.
    pub(super) fn subscribe(
        &mut self,
        filters: impl Iterator<Item = String>,
        qos: u8,
    ) -> io::Result<()> {
        let mut body = vec![0, 1];
        for filter in filters {
            body.extend(text(&filter));
            body.push(qos);
        }
        self.send(0x82, &body)
    }

    /// PUBLISH at QoS 1, up to its PUBACK.
    pub(super) fn publish(&mut self, topic: &str, id: u16, payload: &str) -> io::Result<()> {
        let id = id.to_be_bytes();
        let body = [&*text(topic), &id, payload.as_bytes()].concat();
        self.send(0x32, &body)?;
        match self.packet()? {
            (0x40, answered) if answered == id => Ok(()),
            other => Err(socket::nonsense(&other)),
        }
    }

    pub(super) fn send(&mut self, first: u8, body: &[u8]) -> io::Result<()> {
        let mut packet = vec![first];
        let mut length = body.len();
        loop {
            let byte = (length % 128) as u8;
            length /= 128;
            packet.push(if length > 0 { byte | 0x80 } else { byte });
            if length == 0 {
                break;
            }
        }
        packet.extend(body);
        self.0.write_all(&packet)
    }

    pub(super) fn packet(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let (mut byte, mut length, mut shift) = ([0], 0, 0);
        self.0.read_exact(&mut byte)?;
        let first = byte[0];
        loop {
            self.0.read_exact(&mut byte)?;
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((first, body))
    }

    /// The next message, confirmed: its topic and its payload. None for another packet.
    pub(super) fn message(&mut self) -> io::Result<Option<(String, String)>> {
        let (first, body) = self.packet()?;
        if first >> 4 != 3 {
            return match first {
                0x90 if body[2..].iter().all(|granted| *granted < 3) => Ok(None),
                _ => Err(socket::nonsense(&(first, body))),
            };
        }
        let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
        let mut payload = topic;
        if first & 6 != 0 {
            payload += 2;
            self.send(0x40, &body[topic..payload])?;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Some((text(&body[2..topic]), text(&body[payload..]))))
    }
}

/// A subscriber of the plain mode.
#[derive(Debug)]
pub(super) struct Subscriber {
    keeps: bool,
}

impl Subscriber {
    /// At QoS 0, with a clean session.
    pub(super) fn clean() -> Self {
        Self { keeps: false }
    }

    /// At QoS 1, with a session that outlives its connections.
    pub(super) fn with_session() -> Self {
        Self { keeps: true }
    }

    fn read(&self, watch: &Watch) -> io::Result<Infallible> {
        let opened = Connection::open(watch.connect()?, &watch.name(), !self.keeps)?;
        let (mut connection, is_known) = opened;
        if is_known {
            watch.joined();
        } else {
            watch.gap("session present 0");
            let filters = watch.channels.iter().cloned();
            connection.subscribe(filters, u8::from(self.keeps))?;
        }
        loop {
            match connection.message()? {
                None => watch.joined(),
                // A session may send again what was on its way, after a crash of the node with another packet id.
                Some((topic, payload)) => watch.seen(&topic, payload, is_known),
            }
        }
    }
}

impl Subscribe for Subscriber {
    fn listen(&mut self, watch: &Watch) -> io::Result<Infallible> {
        self.read(watch)
    }

    fn keeps(&self) -> bool {
        self.keeps
    }
}

/// A publisher of QoS 1. Topics have something before and behind them in the Emitter mode.
#[derive(Debug)]
pub(super) struct Publisher {
    at: SocketAddr,
    id: String,
    /// Before and behind the name of a channel.
    around: [String; 2],
    next: u16,
    connection: Option<Connection>,
}

impl Publisher {
    pub(super) fn new(at: SocketAddr, id: &str) -> Self {
        Self::around(at, id, ["", ""])
    }

    pub(super) fn around(at: SocketAddr, id: &str, around: [&str; 2]) -> Self {
        Self {
            at,
            id: id.to_owned(),
            around: around.map(str::to_owned),
            next: 0,
            connection: None,
        }
    }
}

impl Publish for Publisher {
    fn publish(&mut self, channel: &str, payload: &str) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(socket::connect(self.at)?, &self.id, true)?.0,
        };
        self.next = self.next % u16::MAX + 1;
        let [before, behind] = &self.around;
        connection.publish(&format!("{before}{channel}{behind}"), self.next, payload)?;
        self.connection = Some(connection);
        Ok(Answer::Acknowledged)
    }
}
