//! Any bytes are lines of a client, or not, and what is published of them is one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_knsock::read_lines(bytes));
