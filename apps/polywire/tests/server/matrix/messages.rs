//! Messages that are JSON, as any protocol brings them.

use serde_json::Value;

use super::scene::{Client, Scene};

/// The bytes of a message that stands in hexadecimal.
pub(super) fn bytes(message: &Value) -> Vec<u8> {
    let hex = message["data"].as_str().unwrap().as_bytes();
    let byte = |two: &[u8]| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap();
    hex.chunks(2).map(byte).collect()
}

/// The JSON of a message, `null` where it is none.
pub(super) fn json(message: &Value) -> Value {
    match message["sort"].as_str() {
        Some("bytes") => serde_json::from_slice(&bytes(message)).unwrap_or_default(),
        _ => message["data"].clone(),
    }
}

/// The next messages of a client, so many.
#[track_caller]
pub(super) fn take(scene: &mut Scene, client: &Client, count: usize) -> Vec<Value> {
    let mut messages: Vec<_> = (0..count)
        .map(|_| {
            scene.told(client, |told| {
                (told["event"] == "message").then(|| told.clone())
            })
        })
        .collect();
    // Callbacks of Azure's SDK for Python run side by side.
    messages.sort_by_key(|message| message["sequence"].as_u64());
    messages.iter().map(json).collect()
}
