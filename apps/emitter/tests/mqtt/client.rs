//! A client of MQTT 3.1.1 whose packets are written by hand.

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

pub(crate) struct Client(TcpStream);

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
        let mut client = Self(TcpStream::connect(server).await.unwrap());
        let clean = u8::from(lasting == Lasting::No) << 1;
        let flags = clean | (u8::from(will.is_some()) << 2);
        let mut body = b"\0\x04MQTT\x04".to_vec();
        body.extend([flags, 0, 0]);
        body.extend(text(id));
        if let Some((topic, payload)) = will {
            body.extend(text(topic));
            body.extend(text(payload));
        }
        client.send(0x10, &body).await;
        let (first, answer) = client.packet().await;
        assert_eq!((first, answer[1]), (0x20, 0), "{id} was refused");
        (client, answer[0] == 1)
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) {
        let mut body = vec![0, 1];
        body.extend(text(filter));
        body.push(qos);
        self.send(0x82, &body).await;
        assert_eq!(self.packet().await, (0x90, vec![0, 1, qos]));
    }

    /// Sends PUBLISH; `dup`: it says that it may have come before.
    pub(crate) async fn publish(&mut self, qos: u8, dup: bool, id: u16, topic: &str, what: &str) {
        let mut body = text(topic);
        body.extend(id.to_be_bytes());
        body.extend(what.as_bytes());
        self.send(0x30 | u8::from(dup) << 3 | qos << 1, &body).await;
    }

    /// Sends a packet of less than 128 bytes.
    pub(crate) async fn send(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        self.0.write_all(&packet).await.unwrap();
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

    /// Waits until the server has closed; nothing may come before that.
    pub(crate) async fn closed(&mut self) {
        let end = timeout(SOON, self.read()).await.unwrap();
        assert!(end.is_err(), "{end:?}");
    }

    async fn read(&mut self) -> std::io::Result<Packet> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await?;
        let mut body = vec![0; head[1].into()];
        self.0.read_exact(&mut body).await?;
        Ok((head[0], body))
    }
}
