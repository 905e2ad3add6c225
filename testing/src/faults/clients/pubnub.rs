//! PubNub: a poller with its cursor, and a publisher.

use std::{convert::Infallible, io, net::SocketAddr};

use super::{Answer, Publish, Subscribe, Watch, socket};
use crate::peers::HttpConnection;

/// Polls all channels at once, and keeps its cursor when a connection ends.
#[derive(Debug, Default)]
pub(super) struct Poller {
    cursor: Option<String>,
}

impl Subscribe for Poller {
    fn listen(&mut self, watch: &Watch) -> io::Result<Infallible> {
        self.poll(watch)
    }

    fn keeps(&self) -> bool {
        true
    }
}

impl Poller {
    fn poll(&mut self, watch: &Watch) -> io::Result<Infallible> {
        let mut connection = HttpConnection::over(watch.connect()?);
        loop {
            let target = format!(
                "/v2/subscribe/demo/{}/0?uuid={}&tt={}",
                watch.channels.join(","),
                watch.name(),
                self.cursor.as_deref().unwrap_or("0"),
            );
            let answer = connection.try_request("GET", &target, &[], None)?;
            if answer.status != 200 {
                let told = format!("{}: {}", answer.status, answer.text().trim());
                // SDKs hand a status of a failed poll to the application, and go on with the cursor.
                watch.gap(&told);
                return Err(io::Error::other(told));
            }
            let answer = answer.json();
            let cursor = answer["t"]["t"].as_str().map(str::to_owned);
            self.cursor = Some(cursor.ok_or_else(|| socket::nonsense(&answer))?);
            if !watch.is_joined() {
                watch.joined();
            }
            for message in answer["m"].as_array().into_iter().flatten() {
                let channel = message["c"].as_str().unwrap_or_default();
                watch.seen(channel, message["d"].to_string(), false);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Publisher {
    at: SocketAddr,
    /// Its publish key, and its subscribe key.
    key: &'static str,
    connection: Option<HttpConnection>,
}

impl Publisher {
    pub(super) fn new(at: SocketAddr) -> Self {
        Self {
            at,
            key: "demo",
            connection: None,
        }
    }

    /// One that is refused.
    pub(super) fn with_wrong_keys(at: SocketAddr) -> Self {
        Self {
            key: "wrong",
            ..Self::new(at)
        }
    }
}

impl Publish for Publisher {
    fn publish(&mut self, channel: &str, payload: &str) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => HttpConnection::over(socket::connect(self.at)?),
        };
        let key = self.key;
        let target = format!("/publish/{key}/{key}/0/{channel}/0?uuid=publisher");
        let answer = connection.try_request("POST", &target, &[], Some(payload.as_bytes()))?;
        self.connection = Some(connection);
        Ok(by_status(answer.status))
    }
}

/// What a status of HTTP says of a message.
pub(super) fn by_status(status: u16) -> Answer {
    match status {
        200 => Answer::Acknowledged,
        400..=499 => Answer::Refused,
        _ => Answer::Unknown,
    }
}
