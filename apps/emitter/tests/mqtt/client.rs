//! A client of MQTT 3.1.1, or of 5.0 without properties, whose packets are written by hand.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long anything may take that should happen at once. Generous: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The first byte of a packet, and what stands behind its length.
pub(crate) type Packet = (u8, Vec<u8>);

pub(crate) struct Client {
    stream: TcpStream,
    level: u8,
}

/// The levels of the protocol.
pub(crate) const V3: u8 = 4;
pub(crate) const V5: u8 = 5;

/// How a client connects.
#[derive(Clone, Copy)]
pub(crate) struct Hello<'h> {
    pub(crate) level: u8,
    pub(crate) id: &'h str,
    pub(crate) lasting: Lasting,
    /// User name and password.
    pub(crate) login: Option<(&'h str, &'h str)>,
    /// A will of QoS 0: topic and payload.
    pub(crate) will: Option<(&'h str, &'h str)>,
}

impl Default for Hello<'_> {
    fn default() -> Self {
        Self {
            level: V3,
            id: "c",
            lasting: Lasting::No,
            login: None,
            will: None,
        }
    }
}

/// A client of a session that outlives its connection, or not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    Yes,
    No,
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// The topic and the payload of a PUBLISH of QoS 0, in 3.1.1.
pub(crate) fn message_0(body: &[u8]) -> (String, String) {
    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let (topic, payload) = body[2..].split_at(topic);
    let words = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (words(topic), words(payload))
}

/// The topic, the packet id and the payload of a PUBLISH of QoS 1 or 2.
pub(crate) fn message(body: &[u8]) -> (String, u16, String) {
    let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let (topic, rest) = body[2..].split_at(topic);
    let words = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let id = u16::from_be_bytes([rest[0], rest[1]]);
    (words(topic), id, words(&rest[2..]))
}

impl Client {
    /// Connects; returns whether there was a session.
    pub(crate) async fn connect(server: SocketAddr, id: &str, lasting: Lasting) -> (Self, bool) {
        Self::connect_with(server, id, lasting, None).await
    }

    /// Connects, with a will of QoS 0.
    pub(crate) async fn connect_with(
        server: SocketAddr,
        id: &str,
        lasting: Lasting,
        will: Option<(&str, &str)>,
    ) -> (Self, bool) {
        let hello = Hello {
            id,
            lasting,
            will,
            ..Hello::default()
        };
        let (client, answer) = Self::greet(server, &hello).await;
        assert_eq!(answer[1], 0, "{id} was refused");
        (client, answer[0] == 1)
    }

    /// Connects; returns what stands behind the length of CONNACK: whether there was a session, and the reason.
    pub(crate) async fn greet(server: SocketAddr, hello: &Hello<'_>) -> (Self, Vec<u8>) {
        let mut client = Self {
            stream: TcpStream::connect(server).await.unwrap(),
            level: hello.level,
        };
        let clean = u8::from(hello.lasting == Lasting::No) << 1;
        let mut flags = clean | (u8::from(hello.will.is_some()) << 2);
        if hello.login.is_some() {
            flags |= 0xc0;
        }
        let mut body = b"\0\x04MQTT".to_vec();
        body.extend([hello.level, flags, 0, 0]);
        if hello.level == V5 {
            match hello.lasting {
                // Session expiry interval.
                Lasting::Yes => body.extend([5, 0x11, 0, 0, 1, 0]),
                Lasting::No => body.push(0),
            }
        }
        body.extend(text(hello.id));
        if let Some((topic, payload)) = hello.will {
            body.extend((hello.level == V5).then_some(0));
            body.extend(text(topic));
            body.extend(text(payload));
        }
        if let Some((user, password)) = hello.login {
            body.extend(text(user));
            body.extend(text(password));
        }
        client.send(0x10, &body).await;
        let (first, answer) = client.packet().await;
        assert_eq!(first, 0x20);
        (client, answer)
    }

    /// Connects as somebody who must be let in; returns whether there was a session.
    pub(crate) async fn enter(server: SocketAddr, hello: &Hello<'_>) -> (Self, bool) {
        let (client, answer) = Self::greet(server, hello).await;
        assert_eq!(answer[1], 0, "{} was refused", hello.id);
        (client, answer[0] == 1)
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) {
        assert_eq!(self.ask_to_subscribe(filter, qos).await, qos);
    }

    /// Subscribes; returns the answer. Messages that come before it are passed over.
    pub(crate) async fn ask_to_subscribe(&mut self, filter: &str, qos: u8) -> u8 {
        let mut body = vec![0, 1];
        body.extend((self.level == V5).then_some(0));
        body.extend(text(filter));
        body.push(qos);
        self.send(0x82, &body).await;
        loop {
            let (first, answer) = self.packet().await;
            if first == 0x90 {
                return *answer.last().unwrap();
            }
            assert_eq!(first & 0xf0, 0x30, "{answer:?}");
        }
    }

    /// Sends PUBLISH; `dup`: it says that it may have come before.
    pub(crate) async fn publish(&mut self, qos: u8, dup: bool, id: u16, topic: &str, what: &str) {
        let mut body = text(topic);
        body.extend((qos > 0).then(|| id.to_be_bytes()).into_iter().flatten());
        body.extend((self.level == V5).then_some(0));
        body.extend(what.as_bytes());
        self.send(0x30 | u8::from(dup) << 3 | qos << 1, &body).await;
    }

    pub(crate) async fn send(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first];
        let mut left = body.len();
        while left >= 128 {
            packet.push(left as u8 | 0x80);
            left /= 128;
        }
        packet.push(left as u8);
        packet.extend(body);
        self.stream.write_all(&packet).await.unwrap();
    }

    /// Connects with a CONNECT that says this behind the name of the protocol; returns the client, and what stands behind the
    /// length of CONNACK, if one comes.
    pub(crate) async fn hail(
        server: SocketAddr,
        level: u8,
        flags: u8,
        keep_alive_secs: u8,
        rest: &[u8],
    ) -> (Self, Option<Vec<u8>>) {
        let mut client = Self {
            stream: TcpStream::connect(server).await.unwrap(),
            level: level & 0x7f,
        };
        let mut body = b"\0\x04MQTT".to_vec();
        body.extend([level, flags, 0, keep_alive_secs]);
        body.extend(rest);
        client.send(0x10, &body).await;
        let answer = client.next().await;
        let answer = answer.map(|(first, answer)| {
            assert_eq!(first, 0x20);
            answer
        });
        (client, answer)
    }

    /// Publishes a retained message of QoS 1, and waits for the answer.
    pub(crate) async fn retain(&mut self, topic: &str, what: &str) {
        let mut body = text(topic);
        body.extend([0, 9]);
        body.extend((self.level == V5).then_some(0));
        body.extend(what.as_bytes());
        self.send(0x33, &body).await;
        assert_eq!(self.packet().await.0, 0x40);
    }

    /// Sends several packets at once, as they are.
    pub(crate) async fn send_raw(&mut self, packets: &[u8]) {
        self.stream.write_all(packets).await.unwrap();
    }

    /// Sends a packet that has no more than an id.
    pub(crate) async fn send_ack(&mut self, first: u8, id: u16) {
        self.send(first, &id.to_be_bytes()).await;
    }

    /// The next packet.
    pub(crate) async fn packet(&mut self) -> Packet {
        timeout(SOON, self.read()).await.unwrap().unwrap()
    }

    /// Expects a packet that has no more than an id.
    pub(crate) async fn expect_ack(&mut self, first: u8, id: u16) {
        assert_eq!(self.packet().await, (first, id.to_be_bytes().to_vec()));
    }

    /// Returns when all that was sent was dealt with.
    pub(crate) async fn ping(&mut self) {
        self.send(0xc0, &[]).await;
        assert_eq!(self.packet().await, (0xd0, vec![]));
    }

    /// The next packet; none when the server has closed.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        timeout(SOON, self.read()).await.unwrap().ok()
    }

    /// Waits until the server has closed; nothing may come before that.
    pub(crate) async fn closed(&mut self) {
        let end = timeout(SOON, self.read()).await.unwrap();
        assert!(end.is_err(), "{end:?}");
    }

    async fn read(&mut self) -> std::io::Result<Packet> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await?;
        let (mut length, mut byte, mut shift) = (usize::from(head[1] & 0x7f), head[1], 0);
        while byte >= 128 {
            byte = self.stream.read_u8().await?;
            shift += 7;
            length |= usize::from(byte & 0x7f) << shift;
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((head[0], body))
    }
}
