//! Any split of any stream gives what the whole gives. The first byte chooses the split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use polywire_core::transport::websocket::{Decoder, Incoming, ProtocolError};

const MESSAGE_BYTES_MAX: usize = 1000;

fn decode<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> (Vec<Incoming>, Option<ProtocolError>) {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX, 100);
    let mut found = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(incoming)) => found.push(incoming),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((split, stream)) = bytes.split_first() else {
        return;
    };
    let whole = decode(std::iter::once(stream));
    let length = usize::from(*split).max(1);
    assert_eq!(decode(stream.chunks(length)), whole);
    assert_eq!(decode(stream.chunks(1)), whole);
    for incoming in whole.0 {
        if let Incoming::Message(message) = incoming {
            assert!(message.len() <= MESSAGE_BYTES_MAX);
        }
    }
});
