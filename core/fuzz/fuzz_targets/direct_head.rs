//! A head means the same however much of what follows it has come, and nothing before it is whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use polywire_core::http::direct::{HEAD_BYTES_MAX, Parsed, parse};

fuzz_target!(|bytes: &[u8]| {
    let stream = bytes::Bytes::copy_from_slice(bytes);
    // Most of what could be a head should begin like one.
    let begun = bytes::Bytes::from([b"GET /", bytes].concat());
    for stream in [stream, begun] {
        let whole = parse(&stream, |path| path.starts_with('/'));
        if let Parsed::Complete(head, length) = &whole {
            assert!(*length <= stream.len().min(HEAD_BYTES_MAX));
            assert!(head.path.starts_with('/'));
            assert_eq!(parse(&stream.slice(..*length), |_| true), whole);
            assert_eq!(parse(&stream.slice(..length - 1), |_| true), Parsed::Partial);
            assert_eq!(parse(&stream, |_| false), Parsed::Other);
        }
    }
});
