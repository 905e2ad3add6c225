//! WebSocket byte by byte.

use std::{
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::HttpClient;

/// A connection after its handshake.
pub struct WebSocketClient {
    stream: BufReader<TcpStream>,
}

/// A client's frame: the first byte, and a payload that is masked here.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked_frame(first, payload, [0x12, 0x34, 0x56, 0x78])
}

/// A client's frame with this mask.
pub fn masked_frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    out
}

impl WebSocketClient {
    /// Connects and shakes hands.
    #[track_caller]
    pub fn connect(address: SocketAddr, path: &str) -> Self {
        Self::connect_with(address, path, &[])
    }

    /// Connects, and sends `early` together with the handshake.
    #[track_caller]
    pub fn connect_with(address: SocketAddr, path: &str, early: &[u8]) -> Self {
        Self::upgrade(HttpClient::connect(address), path, early)
    }

    /// Shakes hands on a connection, and sends `early` together with the handshake.
    #[track_caller]
    pub fn upgrade(mut client: HttpClient, path: &str, early: &[u8]) -> Self {
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(early);
        client.write(&request);
        let answer = client.head();
        assert_eq!(answer.status, 101);
        assert_eq!(
            answer.header("sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "RFC 6455, section 1.3"
        );
        assert_eq!(answer.header("sec-websocket-protocol"), None);
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        Self {
            stream: client.into_stream(),
        }
    }

    /// Writes bytes.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream
            .get_mut()
            .write_all(bytes)
            .expect("the server reads");
    }

    /// Writes bytes that the server may not care for any more.
    pub fn try_write(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Writes bytes in pieces, each in a packet of its own.
    pub fn chop(&mut self, bytes: &[u8], length: usize) {
        for piece in bytes.chunks(length) {
            self.write(piece);
        }
    }

    /// A handle that writes while this one reads.
    pub fn writer(&self) -> TcpStream {
        self.stream.get_ref().try_clone().expect("a handle")
    }

    /// Reads a frame: its first byte and its payload.
    #[track_caller]
    pub fn read(&mut self) -> (u8, Vec<u8>) {
        let [first, second] = self.bytes();
        let length = match second {
            126 => u64::from(u16::from_be_bytes(self.bytes())),
            127 => u64::from_be_bytes(self.bytes()),
            length => {
                assert!(length < 126, "a server does not mask");
                u64::from(length)
            }
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).expect("a payload");
        (first, payload)
    }

    /// Reads a text.
    #[track_caller]
    pub fn text(&mut self) -> String {
        let (first, payload) = self.read();
        assert_eq!(first, 0x81, "{payload:?}");
        String::from_utf8(payload).expect("a text")
    }

    /// Reads a close frame with this code, and then the end of the connection.
    #[track_caller]
    pub fn expect_closed(&mut self, code: u16) {
        let (first, payload) = self.read();
        assert_eq!(
            first,
            0x88,
            "a close frame, not {:?}",
            String::from_utf8_lossy(&payload)
        );
        let found = payload
            .first_chunk()
            .map_or(1005, |code| u16::from_be_bytes(*code));
        assert_eq!(found, code, "{:?}", String::from_utf8_lossy(&payload));
        self.expect_end();
    }

    /// Waits for the end of the connection, which must come in order.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an end in order");
        assert_eq!(rest, [0; 0]);
    }

    #[track_caller]
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).expect("bytes");
        bytes
    }
}
