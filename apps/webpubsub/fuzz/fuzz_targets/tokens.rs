//! No text is a token that counts to who does not have the keys.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_webpubsub::read_token(bytes));
