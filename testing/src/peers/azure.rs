//! Azure Web PubSub as bytes: tokens of any content, and a client that shows every frame.

use std::net::{SocketAddr, TcpStream};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tungstenite::{Message, WebSocket, client::IntoClientRequest};

use super::{Answer, HttpConnection};
use crate::SOON;

pub const AZURE_KEY: &str = "AAAA+test/key=";
pub const JSON: &str = "json.webpubsub.azure.v1";
pub const RELIABLE_JSON: &str = "json.reliable.webpubsub.azure.v1";

/// A token as the SDKs make them.
pub fn token(claims: &Value) -> String {
    token_of(&json!({"alg": "HS256", "typ": "JWT"}), claims, AZURE_KEY)
}

/// A token with any header, signed with any key.
pub fn token_of(header: &Value, claims: &Value, key: &str) -> String {
    let encode = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signed = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// Seconds since 1970, and so many more.
pub fn in_secs(secs: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap() + secs
}

/// The path of a client of the hub `default` that may do everything, and more claims.
pub fn client_path(more: &Value) -> String {
    let mut claims = json!({
        "aud": "http://any.host/client/hubs/default", "exp": in_secs(600),
        "role": ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"],
    });
    let more = more.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(more);
    format!("/client/hubs/default?access_token={}", token(&claims))
}

/// A request of a service.
pub fn service(
    at: SocketAddr,
    method: &str,
    target: &str,
    content_type: &str,
    body: Option<&[u8]>,
) -> Answer {
    let audience = format!("http://any.host{target}");
    let token = token(&json!({"aud": audience, "exp": in_secs(60)}));
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", &*bearer), ("Content-Type", content_type)];
    HttpConnection::open(at).request(method, target, &headers, body)
}

/// A client that shows every frame.
#[derive(Debug)]
pub struct AzureClient {
    pub socket: WebSocket<TcpStream>,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
}

impl AzureClient {
    /// Connects; the HTTP status when that is refused.
    pub fn try_open(
        at: SocketAddr,
        path: &str,
        subprotocols: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let stream = TcpStream::connect_timeout(&at, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut request = format!("ws://{at}{path}").into_client_request().unwrap();
        let offer = [("sec-websocket-protocol", subprotocols)];
        for (name, value) in headers.iter().chain(&offer) {
            if !value.is_empty() {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
        }
        match tungstenite::client(request, stream) {
            Ok((socket, answer)) => {
                let chosen = answer.headers().get("sec-websocket-protocol");
                let subprotocol = chosen.map(|name| name.to_str().unwrap().to_owned());
                Ok(Self {
                    socket,
                    subprotocol,
                })
            }
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A client of the hub `default`, with its first frame.
    pub fn open(at: SocketAddr, subprotocol: &str, claims: &Value) -> (Self, Value) {
        let opened = Self::try_open(at, &client_path(claims), subprotocol, &[]);
        let mut client = opened.unwrap_or_else(|status| panic!("refused with {status}"));
        let hello = client.receive();
        assert_eq!(hello["event"], "connected", "{hello}");
        (client, hello)
    }

    /// Comes back to a connection, with a socket of its own.
    pub fn recover(at: SocketAddr, id: &str, token: &str) -> Self {
        // Both SDKs leave their old token in the address.
        let path = format!(
            "/client/hubs/default?access_token=stale&awps_connection_id={id}&awps_reconnection_token={token}"
        );
        let client = Self::try_open(at, &path, RELIABLE_JSON, &[]).unwrap();
        assert_eq!(client.subprotocol.as_deref(), Some(RELIABLE_JSON));
        client
    }

    pub fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string());
    }

    pub fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// The next frame.
    pub fn receive(&mut self) -> Value {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a text frame: {other:?}"),
            }
        }
    }

    /// Sends a request and reads its answer, which is the next frame.
    pub fn ask(&mut self, frame: &Value) -> Value {
        self.send(frame);
        let answer = self.receive();
        assert_eq!(answer["type"], "ack", "{answer}");
        assert_eq!(answer["ackId"], frame["ackId"], "{answer}");
        answer
    }

    /// Sends a request that succeeds.
    pub fn done(&mut self, frame: &Value) {
        let answer = self.ask(frame);
        assert_eq!(answer["success"], true, "{frame}: {answer}");
    }

    /// Sends a request that fails; the name of its error.
    pub fn fails(&mut self, frame: &Value) -> String {
        let answer = self.ask(frame);
        assert_eq!(answer["success"], false, "{frame}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty(), "SDKs look for it");
        answer["error"]["name"].as_str().unwrap().to_owned()
    }

    /// Nothing came that was not read.
    pub fn settled(&mut self) {
        self.send(&json!({"type": "ping"}));
        assert_eq!(self.receive(), json!({"type": "pong"}));
    }

    /// The code with which the server closes, which is what comes next.
    pub fn closed(&mut self) -> u16 {
        loop {
            match self.socket.read() {
                Ok(Message::Close(Some(frame))) => return frame.code.into(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("not closed: {other:?}"),
            }
        }
    }

    /// Loses the socket without a close frame.
    pub fn cut(self) {
        let stream = self.socket.get_ref();
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
}
