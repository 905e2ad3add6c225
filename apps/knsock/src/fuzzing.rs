//! Fuzzing: everything that reads what clients send, as a fuzzer drives it.

use bytes::Bytes;
use polywire_core::{
    Draft, Position,
    delivery::{Encoder, Message},
};
use serde::de::IgnoredAny;

use crate::{Command, encoder::LineEncoder, line::LineDecoder};

/// Bytes of a line, at most.
const LINE_BYTES_MAX: usize = 1 << 16;
const TOPIC_BYTES_MAX: usize = 512;

/// Reads a stream of lines, cut as its first byte says. Whatever they are, nothing panics, and what is published reaches
/// subscribers as one line of JSON.
#[doc(hidden)]
pub fn read_lines(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let mut decoder = LineDecoder::new(LINE_BYTES_MAX);
    for chunk in stream.chunks(usize::from(*cut).max(1)) {
        if decoder.decode(chunk, read_line).is_err() {
            return;
        }
    }
}

fn read_line(line: Bytes) {
    if let Ok(Some(Command::Publish(topic, payload))) = Command::parse(line, TOPIC_BYTES_MAX) {
        let publication = Draft::new(topic, payload).at(Position::default());
        let Some(Message::Text(line)) = LineEncoder.encode(&publication) else {
            panic!("it is not shown: {publication:?}");
        };
        let line = line.strip_suffix('\n').expect("a line has an end");
        assert!(!line.contains(['\n', '\r']), "{line}");
        assert!(serde_json::from_str::<IgnoredAny>(line).is_ok(), "{line}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 16] = [
        "{",
        "}",
        "\n",
        ",",
        "\"action\":",
        "\"publish\"",
        "\"subscribe\"",
        "\"topic\":",
        "\"t\"",
        "\"message\":",
        "\"\\ud800\"",
        "1e999",
        "[",
        "]",
        "{\"action\":\"publish\",\"topic\":\"t\",\"message\":",
        " ",
    ];

    proptest! {
        #[test]
        fn anything_is_read(
            wild: Vec<u8>,
            cut: u8,
            tame in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..30),
        ) {
            read_lines(&wild);
            let mut bytes = vec![cut];
            bytes.extend(tame.concat().bytes());
            read_lines(&bytes);
        }
    }
}
