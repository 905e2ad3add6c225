//! Nobody without the key makes a token that counts, whatever stands in its three parts.
#![no_main]

use std::sync::OnceLock;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const RSA: &[u8] = include_bytes!("../../src/cryptography/rsa_test_public_key.der");
const POINT: &[u8] = &[4; 65];
const ED25519: &[u8] = &[7; 32];

const ALGORITHMS: [(Algorithm, fn() -> DecodingKey); 6] = [
    (Algorithm::HS256, || DecodingKey::from_secret(b"no fuzzer knows")),
    (Algorithm::HS512, || DecodingKey::from_secret(b"no fuzzer knows")),
    (Algorithm::RS256, || DecodingKey::from_rsa_der(RSA)),
    (Algorithm::PS256, || DecodingKey::from_rsa_der(RSA)),
    (Algorithm::ES256, || DecodingKey::from_ec_der(POINT)),
    (Algorithm::EdDSA, || DecodingKey::from_ed_der(ED25519)),
];

fn check(token: &str) {
    for (algorithm, key) in ALGORITHMS {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        assert!(decode::<Value>(token, &key(), &validation).is_err(), "{token}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(polywire_core::cryptography::install);
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
    // Three parts that are base64, which would rarely be found.
    let encoded: Vec<_> = bytes
        .split(|byte| *byte == b'\n')
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part))
        .collect();
    check(&encoded.join("."));
});
