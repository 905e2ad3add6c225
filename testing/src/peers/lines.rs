//! A raw client of kn-sock: it sends any bytes, and hides nothing that comes back.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};

use crate::SOON;

#[derive(Debug)]
pub struct LineSocket {
    stream: BufReader<TcpStream>,
    settled: usize,
}

impl LineSocket {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
            settled: 0,
        }
    }

    /// One that has joined `topic`.
    pub fn subscribed(address: SocketAddr, topic: &str) -> Self {
        let mut socket = Self::open(address);
        socket.subscribe(topic);
        socket.expect_silence();
        socket
    }

    pub fn tcp(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub fn send(&mut self, line: &Value) {
        self.write(format!("{line}\n"));
    }

    pub fn subscribe(&mut self, topic: &str) {
        self.send(&json!({"action": "subscribe", "topic": topic}));
    }

    pub fn publish(&mut self, topic: &str, message: impl Into<Value>) {
        self.send(&json!({"action": "publish", "topic": topic, "message": message.into()}));
    }

    /// The next line; none when the server has closed the connection.
    pub fn receive(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no line: {error}"),
        }
    }

    /// True when a whole line follows; false when the connection ends first.
    pub fn is_line_next(&mut self) -> bool {
        let mut line = Vec::new();
        matches!(self.stream.read_until(b'\n', &mut line), Ok(1..)) && line.ends_with(b"\n")
    }

    #[track_caller]
    pub fn expect(&mut self, topic: &str, message: impl Into<Value>) {
        let expected = json!({"topic": topic, "message": message.into()});
        assert_eq!(self.receive(), Some(expected));
    }

    /// Asserts that nothing came for all that was sent before, and that the connection lives.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        self.settled += 1;
        let port = self.tcp().local_addr().unwrap().port();
        let topic = format!("settle-{port}-{}", self.settled);
        self.subscribe(&topic);
        self.publish(&topic, "settled");
        self.send(&json!({"action": "unsubscribe", "topic": topic}));
        self.expect(&topic, "settled");
    }

    /// Asserts that the server closes the connection and says nothing.
    #[track_caller]
    pub fn expect_close(&mut self) {
        assert_eq!(self.receive(), None);
    }
}
