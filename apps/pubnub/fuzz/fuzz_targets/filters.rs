//! Any text is a filter and a message, whose evaluation takes bounded work, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_pubnub::read_filter(bytes));
