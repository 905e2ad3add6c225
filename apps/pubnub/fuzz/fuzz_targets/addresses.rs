//! Any bytes are a path and a query, and name nothing that is reserved or of another tenant.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_pubnub::read_address(bytes));
