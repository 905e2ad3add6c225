//! What an operator does with connections, by the API of operators: puts them onto a channel, takes them off it, and sends
//! them away.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::{
    LineSocket, SOON, Server, ServerOptions, azure, azure::AzureClient, eventually,
};

const SECRET: &str = "a secret of 32 bytes at least, for tokens";

fn token(client: &str, rights: &Value) -> String {
    let claims = json!({"sub": client, "exp": azure::in_secs(600), "rights": rights});
    azure::token_of(&json!({"alg": "HS256", "typ": "JWT"}), &claims, SECRET)
}

fn start() -> Server {
    ServerOptions::new(&["--debug"])
        .config(&format!(
            "
            auth = 'jwt'
            [[jwt.keys]]
            algorithm = 'HS256'
            secret = '{SECRET}'
            [apps.seth]
            authenticate_connect = true
            [apps.knsock]
            authenticate = true
            [apps.emitter]
            authenticate = true
            face = 'plain'
            [apps.webpubsub]
            access_key = '{}'
            ",
            azure::AZURE_KEY
        ))
        .start()
}

struct Operator<'s> {
    server: &'s Server,
    bearer: String,
}

impl Operator<'_> {
    fn call(&self, target: &str, body: &Value) {
        let headers = [
            ("Authorization", &*self.bearer),
            ("Content-Type", "application/json"),
        ];
        let body = body.to_string();
        let answer = self
            .server
            .request("POST", target, &headers, Some(body.as_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// What is said to everybody on the channel, by all protocols.
    fn say(&self, text: &str) {
        self.call("/api/channels/hall/", &said(text));
    }

    fn count(&self) -> u64 {
        let headers = [("Authorization", &*self.bearer)];
        let answer = self
            .server
            .request("GET", "/debug/channels/hall/", &headers, None);
        answer.json()["subscriber_count"]
            .as_u64()
            .unwrap_or_default()
    }
}

/// The next message to a client of Seth-Pusher, which is told too that the others come and go.
fn next_message(seth: &mut AzureClient) -> Value {
    loop {
        let mut received = seth.receive();
        if received["message"]["type"].is_null() {
            return received["message"].take();
        }
    }
}

fn said(text: &str) -> Value {
    json!({"text": text})
}

/// Clients of MQTT 5 with a token for their password.
struct Mqtt(TcpStream);

impl Mqtt {
    fn connect(server: &Server, token: &str) -> Self {
        let text = |text: &str| {
            let length = u16::try_from(text.len()).unwrap();
            [&length.to_be_bytes(), text.as_bytes()].concat()
        };
        let body = [
            &text("MQTT")[..],
            &[5, 0xc2, 0, 0, 0],
            &text("a client"),
            &text(""),
            &text(token),
        ];
        let body = body.concat();
        let length = [
            u8::try_from(body.len() % 128).unwrap() | 128,
            u8::try_from(body.len() / 128).unwrap(),
        ];
        let mut client = Self(TcpStream::connect(server.address).unwrap());
        client.0.set_read_timeout(Some(SOON)).unwrap();
        client
            .0
            .write_all(&[&[0x10][..], &length, &body].concat())
            .unwrap();
        let (first, answer) = client.packet();
        assert_eq!((first, answer[1]), (0x20, 0), "{answer:?}");
        client
    }

    fn packet(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut body = vec![0; head[1].into()];
        self.0.read_exact(&mut body).unwrap();
        (head[0], body)
    }

    /// The text of the next message.
    fn message(&mut self) -> String {
        let (first, body) = self.packet();
        assert_eq!(first & 0xf0, 0x30, "{body:?}");
        String::from_utf8_lossy(&body).into_owned()
    }
}

#[test]
fn clients_of_every_protocol_are_put_onto_a_channel_taken_off_it_and_sent_away() {
    let server = start();
    let operator = Operator {
        server: &server,
        bearer: format!(
            "Bearer {}",
            token("op", &json!({"write": "*", "manage": "*"}))
        ),
    };
    let ann = token("ann", &json!({"read": "own", "write": "own"}));
    let bearer = format!("Bearer {ann}");
    let headers = [("Authorization", &*bearer)];
    let mut seth =
        AzureClient::try_open(server.address, "/connect/websocket", "", &headers).unwrap();
    seth.send(&json!({"type": "subscribe", "channel": "own"}));
    while seth.receive()["message"]["type"] != "subscribe" {}
    let mut lines = LineSocket::open(server.address);
    lines.send(&json!({"action": "auth", "token": ann}));
    lines.subscribe("own");
    lines.publish("own", "settled");
    lines.expect("own", "settled");
    assert_eq!(seth.receive()["message"], "settled");
    let mut mqtt = Mqtt::connect(&server, &ann);
    let (mut azure, _) = AzureClient::open(server.address, azure::JSON, &json!({"sub": "ann"}));
    azure.settled();

    let about = json!({"client": "ann", "channel": "hall"});
    operator.call("/admin/v1/subscribe", &about);
    eventually("all four are on it", SOON, || {
        (operator.count() == 4).then_some(())
    });
    operator.say("one");
    assert_eq!(next_message(&mut seth), said("one"));
    lines.expect("hall", said("one"));
    assert!(mqtt.message().contains("one"));
    let message = azure.receive();
    assert_eq!(
        (&message["group"], &message["data"]),
        (&json!("hall"), &said("one"))
    );

    operator.call("/admin/v1/unsubscribe", &about);
    assert_eq!(operator.count(), 0);
    operator.say("two");
    operator.call("/admin/v1/subscribe", &about);
    operator.say("three");
    assert_eq!(next_message(&mut seth), said("three"));
    lines.expect("hall", said("three"));
    assert!(mqtt.message().contains("three"));
    assert_eq!(azure.receive()["data"], said("three"));

    let away = json!({"client": "ann", "code": 4321, "reason": "Go and rest"});
    operator.call("/admin/v1/disconnect", &away);
    let closed = loop {
        // That the others have gone may be told first.
        match seth.socket.read().unwrap() {
            Message::Close(frame) => break frame.unwrap().code,
            Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(closed), 4321);
    lines.expect_close();
    // DISCONNECT: administrative action.
    let (first, body) = mqtt.packet();
    assert_eq!((first, body[0]), (0xe0, 0x98), "{body:?}");
    let told = azure.receive();
    assert_eq!(
        (&told["event"], &told["message"]),
        (&json!("disconnected"), &json!("Go and rest"))
    );
    assert_eq!(azure.closed(), 1008);
    assert_eq!(operator.count(), 0);
}
