//! Any text may stand where a key should, and none is one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| polywire_emitter::fuzzing::keys(text));
