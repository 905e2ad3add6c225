//! Azure Web PubSub: a member of groups that recovers its connection, and a publisher.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::{Answer, Publish, Subscribe, Watch, socket};
use crate::peers::azure::{JSON, RELIABLE_JSON, client_path};

type Socket = WebSocket<TcpStream>;

fn send(socket: &mut Socket, frame: &Value) -> io::Result<()> {
    let sent = socket.send(Message::text(frame.to_string()));
    sent.map_err(io::Error::other)
}

/// The next frame; the code of a close, as an error.
fn receive(socket: &mut Socket) -> io::Result<Result<Value, u16>> {
    loop {
        match socket.read().map_err(io::Error::other)? {
            Message::Text(text) => return Ok(Ok(serde_json::from_str(&text)?)),
            Message::Close(frame) => return Ok(Err(frame.map_or(1005, |frame| frame.code.into()))),
            _ => {}
        }
    }
}

/// A member that confirms what it gets, and recovers its connection when a socket ends.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// The id and the token of the connection that it has.
    connection: Option<[String; 2]>,
    /// The last one of its messages.
    sequence: u64,
}

impl Subscribe for Member {
    fn listen(&mut self, watch: &Watch) -> io::Result<Infallible> {
        self.read(watch)
    }

    fn keeps(&self) -> bool {
        true
    }
}

impl Member {
    fn read(&mut self, watch: &Watch) -> io::Result<Infallible> {
        let stream = watch.connect()?;
        let path = match &self.connection {
            None => client_path(&json!({"sub": watch.name()})),
            Some([id, token]) => format!(
                "/client/hubs/default?awps_connection_id={id}&awps_reconnection_token={token}"
            ),
        };
        let mut socket = match socket::websocket(stream, &path, RELIABLE_JSON) {
            Ok(socket) => socket,
            Err(error) => {
                // The node answered, and knows no such connection; or it is not there, and it is tried again.
                if error.to_string().contains("HTTP") {
                    self.forget(watch, &error.to_string());
                }
                return Err(error);
            }
        };
        let mut left_to_join = 0;
        loop {
            let frame = match receive(&mut socket)? {
                Ok(frame) => frame,
                Err(code) => {
                    // The only code that says that there is nothing to come back to.
                    if code == 1008 {
                        self.forget(watch, "closed with 1008");
                    }
                    return Err(io::Error::other(format!("closed with {code}")));
                }
            };
            match (frame["type"].as_str(), frame["event"].as_str()) {
                (Some("system"), Some("connected")) => {
                    let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
                    let id = text("connectionId");
                    if self.connection.as_ref().is_some_and(|old| old[0] == id) {
                        watch.joined();
                        continue;
                    }
                    self.forget(watch, "a new connection");
                    self.connection = Some([id, text("reconnectionToken")]);
                    left_to_join = watch.channels.len();
                    for (number, group) in watch.channels.iter().enumerate() {
                        let join =
                            json!({"type": "joinGroup", "group": group, "ackId": number + 1});
                        send(&mut socket, &join)?;
                    }
                }
                (Some("ack"), _) if frame["success"] == true => {
                    left_to_join -= 1;
                    if left_to_join == 0 {
                        watch.joined();
                    }
                }
                (Some("message"), _) => {
                    let sequence = frame["sequenceId"].as_u64().unwrap_or_default();
                    // As the SDKs do with what they had before.
                    if sequence > self.sequence {
                        self.sequence = sequence;
                        let group = frame["group"].as_str().unwrap_or_default();
                        watch.seen(group, frame["data"].to_string(), false);
                    }
                    send(
                        &mut socket,
                        &json!({"type": "sequenceAck", "sequenceId": sequence}),
                    )?;
                }
                (Some("system"), Some("disconnected")) => {
                    self.forget(watch, &frame.to_string());
                }
                _ => return Err(socket::nonsense(&frame)),
            }
        }
    }

    /// The connection is lost for good.
    fn forget(&mut self, watch: &Watch, told: &str) {
        self.connection = None;
        self.sequence = 0;
        watch.gap(told);
    }
}

#[derive(Debug)]
pub(super) struct Publisher {
    at: SocketAddr,
    acks: u64,
    socket: Option<Socket>,
}

impl Publisher {
    pub(super) fn new(at: SocketAddr) -> Self {
        Self {
            at,
            acks: 0,
            socket: None,
        }
    }
}

impl Publish for Publisher {
    fn publish(&mut self, channel: &str, payload: &str) -> io::Result<Answer> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => socket::websocket(
                socket::connect(self.at)?,
                &client_path(&json!({"sub": "publisher"})),
                JSON,
            )?,
        };
        self.acks += 1;
        let acks = self.acks;
        let frame = format!(
            r#"{{"type":"sendToGroup","group":"{channel}","ackId":{acks},"dataType":"json","data":{payload}}}"#
        );
        let sent = socket.send(Message::text(frame));
        sent.map_err(io::Error::other)?;
        loop {
            let frame = receive(&mut socket)?
                .map_err(|code| io::Error::other(format!("closed with {code}")))?;
            if frame["type"] != "ack" {
                continue;
            }
            self.socket = Some(socket);
            return Ok(match frame["error"]["name"].as_str() {
                None if frame["success"] == true => Answer::Acknowledged,
                Some("Forbidden" | "BadRequest") => Answer::Refused,
                _ => Answer::Unknown,
            });
        }
    }
}
