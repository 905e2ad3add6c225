//! Cheap things to say, for each protocol: little to send, and something to do for the server.

use std::io::Read;

use serde_json::json;

use super::{Attack, Flood, Progress};
use crate::peers::{LineSocket, azure};

/// A masked frame; the mask is 0, so that the payload is as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(body.len()).unwrap()], body].concat()
}

/// CONNECT of MQTT 3.1.1 with a clean session, no client id and no keep-alive.
fn mqtt_connect() -> Vec<u8> {
    packet(0x10, b"\0\x04MQTT\x04\x02\0\0\0\0")
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// An array of so many messages of SockJS.
fn sockjs(messages: usize) -> Vec<u8> {
    let message = json!({"type": "unsubscribe", "channel": "never"}).to_string();
    text(&json!(vec![message; messages]).to_string())
}

/// Publishes of kn-sock to a topic with so many subscribers, who read what they can.
fn publishes_to_a_crowd(subscribers: usize) -> Attack {
    let publish = json!({"action": "publish", "topic": "crowd", "message": "x".repeat(60)});
    let flood = Flood::new("", format!("{publish}\n"));
    Attack::new(
        "kn-sock: publishes to 300 subscribers",
        move |server, number, progress| {
            if number > 0 {
                return flood.run(server, progress);
            }
            let crowd: Vec<_> = (0..subscribers)
                .map(|_| LineSocket::subscribed(server, "crowd"))
                .collect();
            std::thread::scope(|scope| {
                scope.spawn(|| read_all(&crowd, progress));
                flood.run(server, progress)
            })
        },
    )
}

/// Reads what comes, of all of them in turn.
fn read_all(sockets: &[LineSocket], progress: &Progress) {
    let mut buffer = vec![0; 64 << 10];
    for socket in sockets {
        socket.tcp().set_nonblocking(true).unwrap();
    }
    while !progress.is_over() {
        for socket in sockets {
            // One that is too slow is closed, and that is no fault of the server.
            let _ = socket.tcp().read(&mut buffer);
        }
        std::thread::yield_now();
    }
}

/// All of them. The server under attack has every app open to everybody, Azure Web PubSub by
/// [`AZURE_KEY`](crate::peers::azure::AZURE_KEY).
pub fn floods() -> Vec<Attack> {
    let seth = "/connect/websocket";
    let framed = "/connect/000/session/websocket";
    let azure_path = azure::client_path(&json!({}));
    let unsubscribe = json!({"type": "unsubscribe", "channel": "never"}).to_string();
    let line = |value: serde_json::Value| format!("{value}\n");
    let ws = |path: &str, subprotocol: &str, what: Vec<u8>| {
        Flood::websocket(path, subprotocol, b"", what)
    };
    vec![
        ws(seth, "", frame(0x8a, b"")).attack("WebSocket: pongs"),
        ws(seth, "", frame(0x89, b"")).attack("WebSocket: pings"),
        Flood::websocket(seth, "", &frame(0x01, b"x"), frame(0x00, b""))
            .attack("WebSocket: empty fragments"),
        ws(seth, "", text("")).attack("WebSocket: empty messages"),
        ws(seth, "", text(&unsubscribe)).attack("Seth-Pusher: unsubscribes of nothing"),
        ws(framed, "", text("[]")).attack("SockJS: empty arrays"),
        ws(framed, "", sockjs(500)).attack("SockJS: arrays of unsubscribes"),
        Flood::new("", line(json!({"action": "subscribe", "topic": "again"})))
            .attack("kn-sock: subscribes"),
        Flood::new("", line(json!({"action": "unsubscribe", "topic": "never"})))
            .attack("kn-sock: unsubscribes of nothing"),
        Flood::new(line(json!({"action": "subscribe", "topic": "own"})), "\n")
            .attack("kn-sock: empty lines"),
        publishes_to_a_crowd(300),
        Flood::new(mqtt_connect(), packet(0xc0, b"")).attack("MQTT: PINGREQ"),
        Flood::new(mqtt_connect(), packet(0x40, &[0, 9])).attack("MQTT: PUBACK of nothing"),
        Flood::new(mqtt_connect(), packet(0x82, b"\0\x01\0\x01a\0")).attack("MQTT: SUBSCRIBE"),
        Flood::new(mqtt_connect(), packet(0xa2, b"\0\x01\0\x05never")).attack("MQTT: UNSUBSCRIBE"),
        Flood::new(mqtt_connect(), packet(0x30, b"\0\x06nobodyx"))
            .attack("MQTT: PUBLISH to nobody"),
        ws(&azure_path, azure::JSON, text(r#"{"type":"ping"}"#)).attack("Azure: pings"),
        ws(
            &azure_path,
            azure::JSON,
            text(r#"{"type":"leaveGroup","group":"never"}"#),
        )
        .attack("Azure: leaves of nothing"),
        Flood::new("", get("/time/0")).attack("PubNub: time, many requests at once"),
        Flood::new(
            "",
            get("/v2/presence/sub-key/demo/channel/room/leave?uuid=nobody"),
        )
        .attack("PubNub: leaves of nothing, many requests at once"),
        Flood::new("", get("/publish/demo/demo/0/nobody/0/1?uuid=x"))
            .attack("PubNub: publishes to nobody, many requests at once"),
        Flood::new("", get("/nothing/here")).attack("HTTP: 404, many requests at once"),
    ]
}
