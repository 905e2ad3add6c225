//! A client of kn-sock: JSON lines over TCP.

use std::{
    io::{self, BufRead, BufReader, BufWriter, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use polywire::cli::ServerFlags;
use serde_json::{Value, json};

use super::{ClientError, stream::Stream};

/// How long the server may take to confirm.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct LineClient {
    server: String,
    stream: BufWriter<Stream>,
}

impl LineClient {
    /// Connects, and shows the token where there is one.
    pub(crate) fn connect(flags: &ServerFlags, token: Option<&str>) -> Result<Self, ClientError> {
        let mut client = Self {
            server: flags.server.to_string(),
            stream: BufWriter::new(Stream::connect(flags)?),
        };
        if let Some(token) = token {
            client.send(&json!({"action": "auth", "token": token}))?;
        }
        Ok(client)
    }

    /// Publishes a message that is a JSON text already. It leaves with [`flush`](Self::flush) at the latest.
    pub(crate) fn publish(&mut self, channel: &str, message: &str) -> Result<(), ClientError> {
        let channel = Value::from(channel);
        writeln!(
            self.stream,
            r#"{{"action":"publish","topic":{channel},"message":{message}}}"#
        )
        .map_err(|error| self.lost(error))
    }

    pub(crate) fn flush(&mut self) -> Result<(), ClientError> {
        self.stream.flush().map_err(|error| self.lost(error))
    }

    /// Returns when the server has read everything: its lines are done in order, so a message to oneself
    /// comes back after all others were published.
    pub(crate) fn confirm(mut self) -> Result<(), ClientError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = now.unwrap_or_default().as_nanos();
        let topic = format!("polywire-pub-{}-{nanos}", std::process::id());
        self.send(&json!({"action": "subscribe", "topic": topic}))?;
        self.send(&json!({"action": "publish", "topic": topic}))?;
        self.flush()?;
        let timeout = Some(CONFIRM_TIMEOUT);
        let set = self.stream.get_ref().tcp().set_read_timeout(timeout);
        set.map_err(|error| self.lost(error))?;
        let mut line = String::new();
        match BufReader::new(self.stream.get_mut()).read_line(&mut line) {
            // An HTTP server that does not serve kn-sock answers too.
            Ok(1..) if line.contains(&topic) => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => {
                Err(ClientError::Late(self.server))
            }
            Ok(_) | Err(_) => Err(ClientError::Unconfirmed(self.server)),
        }
    }

    fn send(&mut self, line: &Value) -> Result<(), ClientError> {
        writeln!(self.stream, "{line}").map_err(|error| self.lost(error))
    }

    fn lost(&self, error: io::Error) -> ClientError {
        match error.kind() {
            // The server has closed it, and said nothing: its protocol has no words for it.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                ClientError::Unconfirmed(self.server.clone())
            }
            _ => ClientError::Lost(self.server.clone(), error),
        }
    }
}
