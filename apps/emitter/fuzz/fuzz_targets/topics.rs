//! Any text is a topic of the Emitter protocol, or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| polywire_emitter::fuzzing::topics(text));
