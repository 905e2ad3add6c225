//! Seth-Pusher over WebSocket, and its HTTP API.

use std::{convert::Infallible, io, net::SocketAddr};

use serde_json::{Value, json};
use tungstenite::Message;

use super::{Answer, Publish, Subscribe, Watch, pubnub::by_status, socket};
use crate::peers::HttpConnection;

/// A subscriber of one channel.
#[derive(Debug)]
pub(super) struct Subscriber;

impl Subscribe for Subscriber {
    fn listen(&mut self, watch: &Watch) -> io::Result<Infallible> {
        read(watch)
    }
}

fn read(watch: &Watch) -> io::Result<Infallible> {
    let mut socket = socket::websocket(watch.connect()?, "/connect/websocket", "")?;
    let channel = &watch.channels[0];
    for request in [
        json!({"type": "connect", "subscriber_id": watch.name()}),
        json!({"type": "subscribe", "channel": channel}),
    ] {
        let sent = socket.send(Message::text(request.to_string()));
        sent.map_err(io::Error::other)?;
    }
    let own = format!("User: {} subscribed to {channel}", watch.name());
    loop {
        let text = match socket.read().map_err(io::Error::other)? {
            Message::Text(text) => text,
            Message::Close(frame) => return Err(io::Error::other(format!("closed: {frame:?}"))),
            _ => continue,
        };
        let message: Value = serde_json::from_str(&text)?;
        let message = &message["message"];
        if message["body"] == own.as_str() {
            watch.joined();
        } else if message["body"].is_null() {
            watch.seen(channel, message.to_string(), false);
        }
    }
}

#[derive(Debug)]
pub(super) struct Publisher {
    at: SocketAddr,
    connection: Option<HttpConnection>,
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
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => HttpConnection::over(socket::connect(self.at)?),
        };
        let target = format!("/api/channels/{channel}/");
        let answer = connection.try_request("POST", &target, &[], Some(payload.as_bytes()))?;
        self.connection = Some(connection);
        Ok(by_status(answer.status))
    }
}
