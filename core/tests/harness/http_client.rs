//! HTTP/1 byte by byte.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// A connection.
pub struct HttpClient {
    stream: BufReader<TcpStream>,
}

/// The head of an answer, and its body when it was read.
#[derive(Debug)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The whole body.
    pub body: String,
}

impl Answer {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl HttpClient {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the server accepts"))
    }

    /// Connects from another address of this machine.
    pub fn connect_from(address: SocketAddr, from: [u8; 4]) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        let from = SocketAddr::from((from, 0));
        socket
            .bind(&from.into())
            .expect("an address of this machine");
        socket.connect(&address.into()).expect("the server accepts");
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// One request on a connection of its own; the whole answer.
    #[track_caller]
    pub fn once(address: SocketAddr, head: &str, body: &str) -> Answer {
        let mut client = Self::connect(address);
        client.request(head, body);
        client.answer()
    }

    /// Sends a request: `head` is the request line without version, and headers on lines of their own.
    pub fn request(&mut self, head: &str, body: &str) {
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let mut text = format!("{line} HTTP/1.1\r\nHost: test\r\n");
        for header in headers
            .lines()
            .map(str::trim)
            .filter(|header| !header.is_empty())
        {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        self.write(text.as_bytes());
    }

    /// Writes bytes.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream
            .get_mut()
            .write_all(bytes)
            .expect("the server reads");
    }

    /// Writes bytes, whether or not anybody reads them.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Reads a line without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("a line");
        let line = String::from_utf8(line).expect("a line of text");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Reads the head of an answer.
    #[track_caller]
    pub fn head(&mut self) -> Answer {
        let line = self.line();
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Answer {
            status,
            headers,
            body: String::new(),
        }
    }

    /// Reads a whole answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer
            .header("content-length")
            .and_then(|length| length.parse().ok());
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                answer.body.push_str(&chunk);
            }
        } else if let Some(length) = length {
            answer.body = self.exactly(length);
        } else if !matches!(answer.status, 204 | 304) {
            answer.body = self.rest();
        }
        answer
    }

    /// Reads one chunk; the last one is empty.
    #[track_caller]
    pub fn chunk(&mut self) -> String {
        let line = self.line();
        let length = usize::from_str_radix(&line, 16);
        let length = length.unwrap_or_else(|_| panic!("no chunk: {line:?}"));
        let chunk = self.exactly(length);
        assert_eq!(self.line(), "");
        chunk
    }

    /// Reads so many bytes of text.
    #[track_caller]
    pub fn exactly(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("bytes");
        String::from_utf8(bytes).expect("text")
    }

    /// Reads until the server ends the connection.
    #[track_caller]
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).expect("the end");
        String::from_utf8(bytes).expect("text")
    }

    /// Waits; true when something came that was not the end.
    pub fn is_readable(&mut self) -> bool {
        self.stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty())
    }

    /// True when the server has ended the connection, in order or not.
    pub fn is_ended(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Ends the connection without a word.
    pub fn abort(self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
    }

    /// The buffered stream.
    pub fn into_stream(self) -> BufReader<TcpStream> {
        self.stream
    }
}
