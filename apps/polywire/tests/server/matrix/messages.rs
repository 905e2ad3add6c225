//! Messages, as any protocol brings them.

use serde_json::Value;

use super::scene::{Client, Scene};

/// What is a message of what a client was told.
pub(super) fn message(told: &Value) -> Option<Value> {
    let is_message = told["event"] == "message" || told["event"] == "signal";
    is_message.then(|| told.clone())
}

/// The bytes of a message that stands in hexadecimal.
pub(super) fn bytes(message: &Value) -> Vec<u8> {
    let hex = message["data"].as_str().unwrap().as_bytes();
    let byte = |two: &[u8]| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap();
    hex.chunks(2).map(byte).collect()
}

/// The JSON of a message, or its text where it is none.
pub(super) fn json(message: &Value) -> Value {
    if message["sort"] != "bytes" {
        return message["data"].clone();
    }
    let bytes = bytes(message);
    let json = serde_json::from_slice(&bytes);
    json.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into())
}

/// The next messages of a client, so many.
#[track_caller]
pub(super) fn take(scene: &mut Scene, client: &Client, count: usize) -> Vec<Value> {
    let mut messages: Vec<_> = (0..count).map(|_| scene.told(client, message)).collect();
    // Callbacks of Azure's SDK for Python run side by side.
    messages.sort_by_key(|message| message["sequence"].as_u64());
    messages.iter().map(json).collect()
}
