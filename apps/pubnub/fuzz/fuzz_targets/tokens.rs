//! Any bytes are positions, or what a token says, or they are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_pubnub::read_token(bytes));
