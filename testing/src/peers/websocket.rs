//! A WebSocket client.

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, protocol::frame::coding::CloseCode};

use crate::SOON;

/// A WebSocket on which Seth-Pusher's JSON texts go.
#[derive(Debug)]
pub struct WebSocketClient {
    pub socket: WebSocket<TcpStream>,
    settled: usize,
}

impl WebSocketClient {
    pub fn open(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{address}{path}"), stream)
            .unwrap_or_else(|error| panic!("no WebSocket at {path}: {error}"));
        Self { socket, settled: 0 }
    }

    pub fn send_text(&mut self, text: impl Into<String>) {
        let text: String = text.into();
        self.socket.send(Message::text(text)).unwrap();
    }

    pub fn send(&mut self, message: &Value) {
        self.send_text(message.to_string());
    }

    pub fn subscribe(&mut self, channel: &str) {
        self.send(&json!({"type": "subscribe", "channel": channel}));
    }

    pub fn unsubscribe(&mut self, channel: &str) {
        self.send(&json!({"type": "unsubscribe", "channel": channel}));
    }

    /// Subscribes, and reads up to the notice of it.
    pub fn join(&mut self, channel: &str) {
        self.subscribe(channel);
        loop {
            let message = self.receive();
            let body = message["message"]["body"].as_str().unwrap_or_default();
            if message["message"]["type"] == "subscribe"
                && body.ends_with(&format!(" subscribed to {channel}"))
            {
                return;
            }
        }
    }

    /// Returns when the server has done everything that was sent before; what arrived meanwhile is lost.
    pub fn settle(&mut self) {
        let channel = self.settling_channel();
        self.join(&channel);
        self.unsubscribe(&channel);
    }

    /// Asserts that nothing arrives for what was sent so far.
    pub fn expect_silence(&mut self) {
        let channel = self.settling_channel();
        self.subscribe(&channel);
        let next = self.receive();
        let body = next["message"]["body"].as_str().unwrap_or_default();
        assert!(
            body.ends_with(&format!("subscribed to {channel}")),
            "nothing should have come, but: {next}"
        );
        self.unsubscribe(&channel);
    }

    fn settling_channel(&mut self) -> String {
        self.settled += 1;
        let port = self.socket.get_ref().local_addr().unwrap().port();
        format!("settle-{port}-{}", self.settled)
    }

    pub fn receive_text(&mut self) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            assert!(Instant::now() < deadline, "no message within {SOON:?}");
            match self.socket.read() {
                Ok(Message::Text(text)) => return text.as_str().to_owned(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected a text, got {other:?}"),
            }
        }
    }

    pub fn receive(&mut self) -> Value {
        let text = self.receive_text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[track_caller]
    pub fn expect(&mut self, expected: &Value) {
        assert_eq!(self.receive(), *expected);
    }

    /// Expects a notice of this type by this client.
    #[track_caller]
    pub fn expect_notice(&mut self, kind: &str, id: impl Into<Value>, body: &str) {
        let id: Value = id.into();
        self.expect(&json!({"message": {"type": kind, "subscriber_id": id, "body": body}}));
    }

    /// Expects a channel message.
    #[track_caller]
    pub fn expect_message(&mut self, message: &Value, sender: &Value) {
        self.expect(&json!({"message": message, "sender_id": sender}));
    }

    /// Expects an error reply, and returns its text.
    #[track_caller]
    pub fn expect_error(&mut self) -> String {
        let reply = self.receive();
        assert_eq!(reply["message"]["type"], "error", "{reply}");
        assert_eq!(reply.as_object().unwrap().len(), 1, "{reply}");
        reply["message"]["body"].as_str().unwrap().to_owned()
    }

    /// Reads up to the close frame and returns its code and reason.
    pub fn expect_close(&mut self, within: Duration) -> (u16, String) {
        let deadline = Instant::now() + within;
        let tcp = self.socket.get_ref();
        tcp.set_read_timeout(Some(within)).unwrap();
        loop {
            assert!(Instant::now() < deadline, "no close within {within:?}");
            match self.socket.read() {
                Ok(Message::Close(Some(frame))) => {
                    return (
                        CloseCode::into(frame.code),
                        frame.reason.as_str().to_owned(),
                    );
                }
                Ok(Message::Close(None)) => panic!("a close without a code"),
                Ok(_) => {}
                Err(error) => panic!("no close frame: {error}"),
            }
        }
    }

    /// Closes in order.
    pub fn close(mut self) {
        self.socket.close(None).unwrap();
        while self.socket.read().is_ok() {}
    }
}
