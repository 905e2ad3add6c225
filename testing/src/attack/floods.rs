//! Cheap things to say, for each protocol: little to send, and something to do for the server.

use std::io::Read;

use serde_json::json;

use super::{
    Attack, Flood, Progress,
    frames::{frame, get, mqtt_connect, packet_of, text},
};
use crate::peers::{LineSocket, azure};

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
                .map(|_| {
                    let mut socket = LineSocket::open(server);
                    socket.subscribe("crowd");
                    socket
                })
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
        Flood::new(mqtt_connect(), packet_of(0xc0, b"")).attack("MQTT: PINGREQ"),
        Flood::new(mqtt_connect(), packet_of(0x40, &[0, 9])).attack("MQTT: PUBACK of nothing"),
        Flood::new(mqtt_connect(), packet_of(0x82, b"\0\x01\0\x01a\0")).attack("MQTT: SUBSCRIBE"),
        Flood::new(mqtt_connect(), packet_of(0xa2, b"\0\x01\0\x05never"))
            .attack("MQTT: UNSUBSCRIBE"),
        Flood::new(mqtt_connect(), packet_of(0x30, b"\0\x06nobodyx"))
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
