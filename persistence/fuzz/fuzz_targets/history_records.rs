//! Any bytes are a file of the history on disk, damaged or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_persistence::read_anything(bytes));
