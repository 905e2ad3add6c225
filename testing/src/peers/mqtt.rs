//! A client of MQTT 3.1.1 whose packets are written by hand, and whose connection ends as a test wants it to.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use crate::SOON;

#[derive(Debug)]
pub struct MqttClient(TcpStream);

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

impl MqttClient {
    /// CONNECT to a session that outlives the connection.
    pub fn connect_packet(id: &str) -> Vec<u8> {
        let mut body = b"\0\x04MQTT\x04\0\0\0".to_vec();
        body.extend(text(id));
        let mut packet = vec![0x10, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        packet
    }

    /// Connects to a session that outlives the connection; returns whether there was one.
    pub fn connect(server: SocketAddr, id: &str) -> (Self, bool) {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut client = Self(stream);
        client.0.write_all(&Self::connect_packet(id)).unwrap();
        let (first, answer) = client.packet();
        assert_eq!((first, answer[1]), (0x20, 0), "{id} was refused");
        (client, answer[0] == 1)
    }

    /// Subscribes at QoS 1.
    pub fn subscribe(&mut self, filter: &str) {
        let mut body = vec![0, 1];
        body.extend(text(filter));
        body.push(1);
        self.send(0x82, &body);
        assert_eq!(self.packet(), (0x90, vec![0, 1, 1]));
    }

    /// Publishes at QoS 1, and returns when the server has the message.
    pub fn publish(&mut self, topic: &str, payload: &str) {
        let mut body = text(topic);
        body.extend([0, 7]);
        body.extend(payload.as_bytes());
        self.send(0x32, &body);
        assert_eq!(self.packet(), (0x40, vec![0, 7]));
    }

    /// Publishes at QoS 0 to a topic that it is subscribed to, and waits for the message.
    pub fn round_trip(&mut self, topic: &str, payload: &str) {
        let mut body = text(topic);
        body.extend(payload.as_bytes());
        self.send(0x30, &body);
        let (first, body) = self.packet();
        assert_eq!(
            (first, &body[2 + topic.len()..]),
            (0x30, payload.as_bytes())
        );
    }

    /// The payload of the next message, of QoS 1.
    pub fn message(&mut self) -> String {
        let (first, body) = self.packet();
        assert_eq!(first & 0xf6, 0x32, "{body:?}");
        let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (id, payload) = body[2 + topic..].split_at(2);
        self.send(0x40, id);
        String::from_utf8(payload.to_vec()).unwrap()
    }

    /// Leaves as a client should, and waits for the server to close.
    pub fn disconnect(mut self) {
        self.send(0xe0, &[]);
        self.wait_for_end();
    }

    /// Closes without a word (FIN).
    pub fn finish(self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection at once (RST): what the server sent was not read.
    pub fn reset(mut self) {
        self.send(0xc0, &[]);
        self.0.peek(&mut [0]).unwrap();
    }

    /// Waits until the server has closed.
    pub fn wait_for_end(&mut self) {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
    }

    /// Sends a packet of less than 128 bytes.
    fn send(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        self.0.write_all(&packet).unwrap();
    }

    fn packet(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut body = vec![0; head[1].into()];
        self.0.read_exact(&mut body).unwrap();
        (head[0], body)
    }
}
