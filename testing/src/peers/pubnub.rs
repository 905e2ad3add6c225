//! PubNub as bytes: requests that are signed with a secret key.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A path with the signature of its request, as the SDKs make it.
pub fn signed(publish_key: &str, secret_key: &str, method: &str, path: &str, body: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let query = format!("timestamp={}", now.as_secs());
    let text = [method, publish_key, path, &query, body].join("\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{path}?{query}&signature=v2.{signature}")
}
