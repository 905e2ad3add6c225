//! A client of Seth-Pusher on a raw WebSocket.

use polywire::cli::SubscribeFlags;
use serde::{Deserialize, Deserializer};
use serde_json::{json, value::RawValue};
use tungstenite::{Error, HandshakeError, Message, WebSocket, client::IntoClientRequest};

use super::{ClientError, one_line, stream::Stream};

/// A message of a channel, or a private one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The message, as JSON.
    pub(crate) message: String,
    /// Who published it, as JSON; `null` where nobody said it.
    pub(crate) publisher: String,
}

pub(crate) struct SocketClient {
    server: String,
    socket: WebSocket<Stream>,
}

impl SocketClient {
    /// Connects, and shows the headers and the query of the flags.
    pub(crate) fn connect(flags: &SubscribeFlags) -> Result<Self, ClientError> {
        let address = &flags.server.server;
        let server = address.to_string();
        let refused = |error: String| ClientError::Handshake(server.clone(), error);
        let scheme = if address.tls { "wss" } else { "ws" };
        let query = flags.query.as_ref();
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        let url = format!(
            "{scheme}://{}/connect/websocket{query}",
            address.authority()
        );
        let mut request = url
            .into_client_request()
            .map_err(|error| refused(error.to_string()))?;
        for (name, value) in &flags.header {
            request.headers_mut().append(name, value.clone());
        }
        let stream = Stream::connect(&flags.server)?;
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self { server, socket }),
            Err(HandshakeError::Failure(error)) => Err(refused(error.to_string())),
            Err(HandshakeError::Interrupted(_)) => Err(refused("interrupted".into())),
        }
    }

    /// Joins a channel; returns when that is done.
    pub(crate) fn subscribe(&mut self, channel: &str) -> Result<(), ClientError> {
        self.send(json!({"type": "subscribe", "channel": channel}).to_string())?;
        self.expect_notice("subscribe", &format!("channel {channel:?}"))
    }

    /// Becomes this user, who gets private messages; returns when that is done.
    pub(crate) fn identify(&mut self, user: &str) -> Result<(), ClientError> {
        self.send(json!({"type": "connect", "subscriber_id": user}).to_string())?;
        // Nothing answers it; what is sent after it is done after it.
        let channel = format!("polywire-sub-{}", std::process::id());
        self.send(json!({"type": "subscribe", "channel": channel}).to_string())?;
        self.expect_notice("subscribe", &format!("user {user:?}"))?;
        self.send(json!({"type": "unsubscribe", "channel": channel}).to_string())
    }

    /// The next message; notices are left out.
    pub(crate) fn receive(&mut self) -> Result<Incoming, ClientError> {
        loop {
            let text = self.receive_text()?;
            if let Ok(Frame {
                message,
                sender_id: Some(publisher),
            }) = serde_json::from_str(&text)
            {
                return Ok(Incoming {
                    message: one_line(message.get()),
                    publisher: publisher.get().to_owned(),
                });
            }
        }
    }

    fn expect_notice(&mut self, kind: &str, what: &str) -> Result<(), ClientError> {
        #[derive(Deserialize)]
        struct Notice {
            #[serde(rename = "type")]
            kind: String,
            body: String,
        }
        loop {
            let text = self.receive_text()?;
            let Ok(Frame {
                message,
                sender_id: None,
            }) = serde_json::from_str(&text)
            else {
                continue;
            };
            match serde_json::from_str::<Notice>(message.get()) {
                Ok(notice) if notice.kind == kind => return Ok(()),
                Ok(notice) if notice.kind == "error" => {
                    return Err(ClientError::Refused(what.to_owned(), notice.body));
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, text: String) -> Result<(), ClientError> {
        let sent = self.socket.send(Message::text(text));
        sent.map_err(|error| self.lost(error))
    }

    fn receive_text(&mut self) -> Result<String, ClientError> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(text.as_str().to_owned()),
                Ok(Message::Close(frame)) => {
                    let reason = frame.map_or_else(String::new, |frame| {
                        format!(": {} ({})", frame.reason, u16::from(frame.code))
                    });
                    return Err(ClientError::Closed(self.server.clone(), reason));
                }
                // tungstenite answers pings by itself.
                Ok(_) => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    fn lost(&self, error: Error) -> ClientError {
        match error {
            Error::Io(error) => ClientError::Lost(self.server.clone(), error),
            Error::ConnectionClosed | Error::AlreadyClosed => {
                ClientError::Closed(self.server.clone(), String::new())
            }
            error => ClientError::Lost(self.server.clone(), std::io::Error::other(error)),
        }
    }
}

/// What the server sends. Only messages name a sender, and if only `null`.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    sender_id: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}
