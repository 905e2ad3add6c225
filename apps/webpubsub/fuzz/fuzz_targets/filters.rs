//! Any text is an OData filter, or it is said what is wrong with it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| polywire_webpubsub::read_filter(bytes));
