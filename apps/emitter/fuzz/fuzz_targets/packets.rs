//! Any bytes are packets of a client, or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_emitter::fuzzing::packets(bytes));
