//! An address that clients talk to.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::peers::{Answer, HttpConnection, WebSocketClient};

/// An address that clients talk to, wherever its server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Endpoint {
    /// The beginning of a URL here.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One request on a connection of its own.
    pub fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        HttpConnection::open(self.address).request(method, target, headers, body)
    }

    /// A GET request.
    pub fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[], None)
    }

    /// A POST request.
    pub fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request("POST", target, &[], Some(body.as_ref()))
    }

    /// Posts to Seth-Pusher's HTTP API; it must succeed.
    pub fn publish(&self, target: &str, message: &Value) {
        let answer = self.post(target, message.to_string());
        assert_eq!((answer.status, answer.text()), (200, "{\"status\": 200}\n"));
    }

    /// The answer of Seth-Pusher's debug API for everything.
    pub fn debug(&self) -> Value {
        let answer = self.get("/debug/");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// A raw WebSocket of Seth-Pusher.
    pub fn websocket(&self) -> WebSocketClient {
        WebSocketClient::open(self.address, "/connect/websocket")
    }

    /// A raw WebSocket of Seth-Pusher with an identity.
    pub fn client(&self, id: impl Into<Value>) -> WebSocketClient {
        let mut client = self.websocket();
        client.send(&json!({"type": "connect", "subscriber_id": id.into()}));
        client.settle();
        client
    }
}
