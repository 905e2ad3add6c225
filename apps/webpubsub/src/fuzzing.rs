//! Fuzzing: everything that reads what clients and services send, as a fuzzer drives it.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use polywire_core::{Payload, delivery::Message};

use crate::{
    dialect::Dialect,
    encoder,
    filter::{Filter, Subject},
    frame::{Action, Frame},
    keys::Keys,
};

/// Reads any bytes as a frame of each dialect. Whatever they are, nothing panics, mistakes are sentences, and data
/// that is taken can be sent.
#[doc(hidden)]
pub fn read_frame(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let mut messages = vec![Message::Binary(bytes.clone())];
    if let Ok(text) = String::from_utf8(bytes.into()) {
        messages.push(Message::Text(text.into()));
    }
    for message in &messages {
        for dialect in [Dialect::Json, Dialect::Protobuf] {
            match Frame::parse(dialect, message) {
                Ok(Frame::Request(request)) => {
                    if let Action::Send { payload, .. } | Action::Event { payload, .. } =
                        request.action
                    {
                        write(&payload);
                    }
                }
                Ok(Frame::Refused { why, .. }) => assert!(why.ends_with('.'), "{why}"),
                Ok(_) => {}
                Err(wrong) => assert!(wrong.ends_with('.'), "{wrong}"),
            }
        }
    }
}

/// What goes to clients in JSON is JSON.
fn write(payload: &Payload) {
    let whole = encoder::server_message(Dialect::Json, payload);
    let is_json = |bytes: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    assert!(is_json(whole.as_bytes()));
    let body = encoder::server_body(Dialect::Json, payload);
    let numbered = Dialect::Json.numbering()(body.len(), u64::MAX).message(&body);
    assert!(is_json(numbered.as_bytes()));
    encoder::server_message(Dialect::Protobuf, payload);
}

/// Reads any bytes as a filter. It is one, and says yes or no, or it is told what is wrong.
#[doc(hidden)]
pub fn read_filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Filter::parse(text) {
        Ok(filter) => {
            let groups = ["g".to_owned(), text.to_owned()].into();
            for text in [Some(text), None] {
                filter.matches(&Subject {
                    connection: "C",
                    user: text,
                    protocol: text,
                    groups: &groups,
                });
            }
            // As it travels between nodes.
            assert!(Filter::parse(&String::from(filter)).is_ok());
        }
        Err(wrong) => assert!(wrong.ends_with("(Parameter 'filter')"), "{wrong}"),
    }
}

/// Reads any bytes as a token, and as its parts before they were encoded. None is one.
#[doc(hidden)]
pub fn read_token(bytes: &[u8]) {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(None, None));
    let path = "/client/hubs/chat";
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(KEYS.verify(text, path).is_none(), "{text}");
    }
    let parts = bytes.split(|byte| *byte == b'\n');
    let parts: Vec<_> = parts
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part))
        .collect();
    assert!(KEYS.verify(&parts.join("."), path).is_none());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 24] = [
        "{",
        "}",
        "\"type\":",
        "\"sendToGroup\"",
        "\"event\"",
        "\"data\":",
        "\"dataType\":",
        "\"text\"",
        "\"group\":\"g\"",
        ",",
        "\"binary\"",
        "1",
        "\"\\ud800\"",
        "userId",
        " eq ",
        "'a'",
        "(",
        ")",
        " and ",
        "not ",
        "length(",
        "groups",
        " in ",
        "null",
    ];

    proptest! {
        /// Words that belong together are often found.
        #[test]
        fn anything_is_read(
            wild: Vec<u8>,
            tame in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..30),
            low in prop::collection::vec(0u8..40, 0..60),
        ) {
            let tame = tame.concat();
            for bytes in [&wild[..], tame.as_bytes(), &low] {
                read_frame(bytes);
                read_filter(bytes);
                read_token(bytes);
            }
        }
    }
}
