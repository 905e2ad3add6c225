//! Payloads between protocols as docs/payloads.md says, pair by pair.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::json;

use crate::support::{
    SOON, Server, ServerOptions, WebSocketClient,
    azure::{AZURE_KEY, AzureClient, JSON, client_path, service},
};

/// A kn-sock connection that has joined the topic `t`.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn join(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut lines = Self(BufReader::new(stream));
        // Lines are taken in order: who gets its own message has joined.
        lines.write(r#"{"action":"subscribe","topic":"t"}"#);
        lines.publish("\"joined\"");
        lines.expect("\"joined\"");
        lines
    }

    fn write(&mut self, line: &str) {
        self.0
            .get_mut()
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    fn publish(&mut self, message: &str) {
        self.write(&format!(
            r#"{{"action":"publish","topic":"t","message":{message}}}"#
        ));
    }

    fn expect(&mut self, message: &str) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{{\"topic\":\"t\",\"message\":{message}}}\n"));
    }
}

#[test]
fn from_kn_sock_every_json_value_keeps_its_type_and_its_text() {
    let server = Server::start(&[]);
    let mut page = WebSocketClient::open(server.address, "/connect/websocket");
    page.join("t");
    let mut lines = Lines::join(server.address);
    assert_eq!(
        page.receive_text(),
        r#"{"message":"joined","sender_id":null}"#
    );
    for message in [
        r#"{"a": 1.50, "b": [true, null]}"#,
        "[1,2]",
        "12345678901234567890",
        "1e300",
        "true",
        "null",
        r#""text""#,
        r#""caf\u00e9 \ud83d\udc34""#,
        r#""{\"json\": \"inside\"}""#,
        r#""""#,
    ] {
        lines.publish(message);
        lines.expect(message);
        let expected = format!(r#"{{"message":{message},"sender_id":null}}"#);
        assert_eq!(page.receive_text(), expected);
    }
}

#[test]
fn from_seth_an_object_keeps_its_text_and_fits_on_a_line() {
    let server = Server::start(&[]);
    let mut page = WebSocketClient::open(server.address, "/connect/websocket");
    page.join("t");
    let mut lines = Lines::join(server.address);
    page.receive_text();
    for (posted, line) in [
        (r#"{"a":  "\u00e9"}"#, r#"{"a":  "\u00e9"}"#),
        ("{\n\t\"a\":\r\n 1\n}", "{ \t\"a\":   1 }"),
        (r#"{"sender_id": 7}"#, r#"{"sender_id": 7}"#),
    ] {
        assert_eq!(server.post("/api/channels/t/", posted).status, 200);
        lines.expect(line);
        let sender = if posted.contains("sender_id") {
            "7"
        } else {
            "null"
        };
        let expected = format!(r#"{{"message":{posted},"sender_id":{sender}}}"#);
        assert_eq!(page.receive_text(), expected);
    }
}

/// A text and a JSON string are one to protocols without types, and two to Azure.
#[test]
fn strings_reach_azure_clients_as_what_they_were() {
    let config = format!("[apps.webpubsub]\naccess_key = \"{AZURE_KEY}\"\n");
    let server = ServerOptions::new(&[]).config(&config).start();
    let claims = json!({"webpubsub.group": "t"});
    let (mut azure, _) = AzureClient::open(server.address, JSON, &claims);
    let mut simple = AzureClient::try_open(server.address, &client_path(&claims), "", &[]).unwrap();
    azure.settled();
    simple
        .socket
        .send(tungstenite::Message::Ping("p".into()))
        .unwrap();
    assert!(simple.socket.read().unwrap().is_pong(), "it has joined");
    let mut lines = Lines::join(server.address);
    let mut gets = |data_type: &str, data: &str, plain: &str| {
        let message = azure.receive();
        assert_eq!(
            (&message["dataType"], &message["data"]),
            (&json!(data_type), &json!(data))
        );
        assert_eq!(
            simple.socket.read().unwrap(),
            tungstenite::Message::text(plain)
        );
        azure.settled();
    };
    gets("json", "joined", "\"joined\"");
    lines.publish(r#""caf\u00e9""#);
    lines.expect(r#""caf\u00e9""#);
    gets("json", "caf\u{e9}", r#""caf\u00e9""#);
    let published = server.get("/publish/demo/demo/0/t/0/%22hi%22");
    assert_eq!(published.status, 200);
    lines.expect("\"hi\"");
    gets("json", "hi", "\"hi\"");
    for (content_type, body, data_type, data) in [
        ("text/plain", "plain", "text", "plain"),
        ("application/json", "\"a\\u0062\"", "json", "ab"),
    ] {
        let target = "/api/hubs/default/groups/t/:send?api-version=1";
        let sent = service(
            server.address,
            "POST",
            target,
            content_type,
            Some(body.as_bytes()),
        );
        assert_eq!(sent.status, 202);
        gets(data_type, data, body);
        let string = if data_type == "text" {
            "\"plain\""
        } else {
            body
        };
        lines.expect(string);
    }
}

/// A page may post half a surrogate pair: a Python client would make a string of it that it cannot encode, and others refuse
/// all that comes with it.
#[test]
fn half_a_character_reaches_everybody_as_a_whole_one() {
    let server = Server::start(&[]);
    let mut page = WebSocketClient::open(server.address, "/connect/websocket");
    page.join("t");
    let mut lines = Lines::join(server.address);
    page.receive_text();
    for (posted, line) in [
        (r#"{"a": "\ud800"}"#, r#"{"a": "\ufffd"}"#),
        (
            r#"{"\udc00":  ["\ud83d\udc34"]}"#,
            r#"{"\ufffd":  ["\ud83d\udc34"]}"#,
        ),
        (r#"{"a": "\\ud800"}"#, r#"{"a": "\\ud800"}"#),
    ] {
        assert_eq!(server.post("/api/channels/t/", posted).status, 200);
        lines.expect(line);
        let expected = format!(r#"{{"message":{line},"sender_id":null}}"#);
        assert_eq!(page.receive_text(), expected);
    }
}

#[test]
fn notices_and_private_messages_are_no_messages_of_a_topic() {
    let server = Server::start(&[]);
    let mut lines = Lines::join(server.address);
    let mut page = WebSocketClient::open(server.address, "/connect/websocket");
    page.send_text(r#"{"type":"connect","subscriber_id":"t"}"#);
    page.join("t");
    assert_eq!(
        server.post("/api/users/t/", r#"{"private": 1}"#).status,
        200
    );
    assert_eq!(
        server.post("/api/channels/t/", r#"{"public": 1}"#).status,
        200
    );
    lines.expect(r#"{"public": 1}"#);
}

/// What a PubNub client gets of the channel `t` after a cursor, and the next cursor.
fn poll(server: &Server, cursor: &str) -> (String, String) {
    let answer = server.get(&format!("/v2/subscribe/demo/t/0?tt={cursor}"));
    let text = answer.text().to_owned();
    let cursor = answer.json()["t"]["t"].as_str().unwrap().to_owned();
    (text, cursor)
}

#[test]
fn pubnub_takes_and_gives_every_json_value_as_it_is() {
    let server = Server::start(&[]);
    let (_, mut cursor) = poll(&server, "0");
    let mut page = WebSocketClient::open(server.address, "/connect/websocket");
    page.join("t");
    let mut lines = Lines::join(server.address);
    page.receive_text();
    (_, cursor) = poll(&server, &cursor);
    for message in [
        r#"{"a": 1.50, "b": [true, null]}"#,
        "12345678901234567890",
        "null",
        r#""caf\u00e9 \ud83d\udc34""#,
        r#""""#,
    ] {
        let target = "/publish/demo/demo/0/t/0?uuid=ann";
        assert_eq!(server.post(target, message).status, 200);
        lines.expect(message);
        let expected = format!(r#"{{"message":{message},"sender_id":"ann"}}"#);
        assert_eq!(page.receive_text(), expected);
        let (text, next) = poll(&server, &cursor);
        assert!(text.contains(&format!(r#""d":{message}}}"#)), "{text}");
        lines.publish(message);
        lines.expect(message);
        page.receive_text();
        let (text, last) = poll(&server, &next);
        assert!(text.contains(&format!(r#""d":{message}}}"#)), "{text}");
        cursor = last;
    }
}

#[test]
fn other_protocols_share_the_channels() {
    let server = ServerOptions::new(&[])
        .config("[apps.pubnub]\nhold_secs = 1\n")
        .start();
    let first = server.get("/v2/subscribe/demo/shared/0").json();
    server.publish("/api/channels/shared/", &json!({"from": "seth"}));
    let mut page = server.websocket();
    page.join("shared");
    let cursor = first["t"]["t"].as_str().unwrap();
    let got = server
        .get(&format!("/v2/subscribe/demo/shared/0?tt={cursor}"))
        .json();
    assert_eq!(got["m"][0]["d"], json!({"from": "seth"}));
    server.get("/publish/demo/demo/0/shared/0/%7B%22from%22%3A%22pubnub%22%7D?uuid=ann");
    page.expect(&json!({"message": {"from": "pubnub"}, "sender_id": "ann"}));
}

/// The next packet of MQTT: its first byte, and what follows its length.
fn packet(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert!(head[1] < 128, "only short packets are expected");
    let mut body = vec![0; head[1].into()];
    stream.read_exact(&mut body).unwrap();
    (head[0], body)
}

/// What apps say to each other about a message is none of a client's business, however its `meta` looks.
#[test]
fn the_meta_of_pubnub_is_data_to_mqtt() {
    let server = Server::start(&[]);
    let mut mqtt = TcpStream::connect(server.address).unwrap();
    mqtt.set_read_timeout(Some(SOON)).unwrap();
    // CONNECT of 5.0, and SUBSCRIBE to t with QoS 1.
    mqtt.write_all(b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01x")
        .unwrap();
    assert_eq!(packet(&mut mqtt).0, 0x20);
    mqtt.write_all(b"\x82\x07\0\x01\0\0\x01t\x01").unwrap();
    assert_eq!(packet(&mut mqtt).0, 0x90);
    for meta in [
        r#"{"qos":1,"response_topic":"a\u0000b"}"#,
        r#"{"qos":2}"#,
        r#"{"qos":1,"retain":true,"content_type":"x","expires":1}"#,
        r#"{"webpubsub":{"audience":{"excluded":["x"]},"isProtobuf":true}}"#,
    ] {
        let encoded: String = meta.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let published = server.get(&format!(
            "/publish/demo/demo/0/t/0/1?store=0&meta={encoded}"
        ));
        assert_eq!(published.status, 200, "{meta}");
        // QoS 0, since it is not kept, no properties, the payload.
        assert_eq!(
            packet(&mut mqtt),
            (0x30, b"\0\x01t\x001".to_vec()),
            "{meta}"
        );
    }
}
