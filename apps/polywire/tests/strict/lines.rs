//! kn-sock: each line is one JSON object with two fields.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
};

use polywire_testing::SOON;
use serde_json::json;

use crate::{fence::Fence, json::read, names};

pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn open(at: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        for topic in names() {
            let line = json!({"action": "subscribe", "topic": topic});
            stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        let mut client = Self(BufReader::new(stream));
        let own = json!({"action": "publish", "topic": "own", "message": "settled"});
        let join = json!({"action": "subscribe", "topic": "own"});
        let lines = format!("{join}\n{own}\n");
        client.0.get_mut().write_all(lines.as_bytes()).unwrap();
        let mut line = String::new();
        client.0.read_line(&mut line).unwrap();
        assert_eq!(read(&line)["message"], "settled");
        client
    }
}

impl crate::Client for Client {
    fn name(&self) -> &'static str {
        "kn-sock"
    }

    fn read_up_to(&mut self, fence: &Fence) {
        loop {
            let mut line = Vec::new();
            self.0.read_until(b'\n', &mut line).unwrap();
            let text = std::str::from_utf8(&line).unwrap();
            assert!(text.ends_with('\n') && !text.contains('\r'), "{text:?}");
            let line = read(text);
            assert_eq!(line.as_object().unwrap().len(), 2, "{line}");
            assert!(line["topic"].is_string(), "{line}");
            if line["message"] == fence.text() {
                return;
            }
        }
    }
}
