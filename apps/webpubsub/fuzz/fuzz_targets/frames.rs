//! Any bytes are a frame of a client, in JSON and in protobuf, or it is said what is wrong with them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_webpubsub::read_frame(bytes));
