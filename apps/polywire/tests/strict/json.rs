//! JSON as the strictest parsers read it: numbers that a double holds, whole characters, and no more than 64 levels.

use std::net::SocketAddr;

use polywire_testing::{Server, peers::WebSocketClient};
use serde_json::{Value, json};

use crate::{fence::Fence, names};

/// Levels that the parsers of .NET take.
const LEVELS_MAX: usize = 64;

/// Reads JSON, or panics.
pub(crate) fn read(text: &str) -> Value {
    let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(levels(&value) <= LEVELS_MAX, "too deep: {text}");
    value
}

fn levels(value: &Value) -> usize {
    let inner = match value {
        Value::Array(values) => values.iter().map(levels).max(),
        Value::Object(fields) => fields.values().map(levels).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

/// A client of Seth-Pusher.
pub(crate) struct SethClient(WebSocketClient);

impl SethClient {
    pub(crate) fn open(at: SocketAddr) -> Self {
        let mut client = WebSocketClient::open(at, "/connect/websocket");
        for name in names() {
            client.send(&json!({"type": "subscribe", "channel": name}));
        }
        client.settle();
        Self(client)
    }
}

impl crate::Client for SethClient {
    fn name(&self) -> &'static str {
        "Seth-Pusher"
    }

    fn read_up_to(&mut self, fence: &Fence) {
        while read(&self.0.receive_text())["message"] != fence.text() {}
    }
}

fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Reads all that was kept of a channel, by both protocols that show it.
pub(crate) fn check_history(server: &Server, name: &str) {
    let name = encoded(name);
    let answer = server.get(&format!("/history/v1/channels/{name}?last=1000"));
    assert_eq!(answer.status, 200, "{answer:?}");
    for line in answer.text().split_terminator('\n') {
        assert!(!line.contains('\r'), "{line}");
        assert!(read(line).is_object(), "{line}");
    }
    let more = "include_meta=true&include_message_type=true&include_custom_message_type=true&include_uuid=true";
    let target = format!("/v3/history/sub-key/demo/channel/{name}?max=100&{more}");
    read(server.get(&target).text());
    let target = format!("/v2/history/sub-key/demo/channel/{name}?count=100");
    read(server.get(&target).text());
}
