//! kn-sock: lines over TCP, of which none is answered.

use std::{
    convert::Infallible,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};

use super::{Answer, Publish, Subscribe, Watch, socket};

#[derive(Debug)]
pub(super) struct Subscriber;

impl Subscribe for Subscriber {
    fn listen(&mut self, watch: &Watch) -> io::Result<Infallible> {
        read(watch)
    }
}

fn read(watch: &Watch) -> io::Result<Infallible> {
    let mut stream = watch.connect()?;
    // What it publishes to itself comes when it is subscribed to everything.
    let own = watch.name();
    let topics = watch.channels.iter().chain([&own]);
    for topic in topics {
        let line = json!({"action": "subscribe", "topic": topic});
        stream.write_all(format!("{line}\n").as_bytes())?;
    }
    let line = json!({"action": "publish", "topic": own, "message": "settled"});
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line: Value = serde_json::from_str(&line)?;
        match line["topic"].as_str() {
            Some(topic) if topic == own => watch.joined(),
            Some(topic) => watch.seen(topic, line["message"].to_string(), false),
            None => return Err(socket::nonsense(&line)),
        }
    }
}

#[derive(Debug)]
pub(super) struct Publisher {
    at: SocketAddr,
    connection: Option<TcpStream>,
}

impl Publisher {
    pub(super) fn new(at: SocketAddr) -> Self {
        Self {
            at,
            connection: None,
        }
    }
}

impl Publish for Publisher {
    fn publish(&mut self, channel: &str, payload: &str) -> io::Result<Answer> {
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => socket::connect(self.at)?,
        };
        let line = format!(r#"{{"action":"publish","topic":"{channel}","message":{payload}}}"#);
        stream.write_all(format!("{line}\n").as_bytes())?;
        self.connection = Some(stream);
        Ok(Answer::Unknown)
    }
}
