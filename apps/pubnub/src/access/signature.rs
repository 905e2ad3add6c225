//! Requests that are signed with the secret key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use subtle::ConstantTimeEq;

use super::hmac::{LENGTH, hmac};
use crate::{keys::KeySet, query::Query, text::decode};

/// How far a client's clock may be wrong.
const SKEW: Duration = Duration::from_secs(60);

/// With padding or without: SDKs differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What stays as it is in a value.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// What is signed.
#[derive(Debug)]
pub(super) struct Signed<'r> {
    pub(super) method: &'r Method,
    pub(super) path: &'r str,
    pub(super) query: &'r Query<'r>,
    pub(super) body: &'r [u8],
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadSignature {
    Invalid,
    /// The time of the request is too far from ours.
    Time,
}

impl Signed<'_> {
    /// Checks the signature of a request.
    pub(super) fn check(
        &self,
        set: &KeySet,
        secret: &str,
        signature: &str,
        timestamp: Option<&str>,
        now: SystemTime,
    ) -> Result<(), BadSignature> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = timestamp.and_then(|digits| digits.parse().ok());
        let time = Duration::from_secs(time.ok_or(BadSignature::Time)?);
        if now.abs_diff(time) > SKEW {
            return Err(BadSignature::Time);
        }
        let query = self.canonical_query();
        let valid = match signature.strip_prefix("v2.") {
            Some(signature) => {
                let is_publish = self.path.starts_with("/publish");
                // One SDK signs every publish as if it were a GET.
                let method = if is_publish {
                    "GET"
                } else {
                    self.method.as_str()
                };
                let body = if is_publish { &[] } else { self.body };
                let parts = [method, set.publish_key(), self.path, &query, ""].join("\n");
                let expected = hmac(secret.as_bytes(), &[parts.as_bytes(), body]);
                is_equal(&expected, signature)
            }
            // The older form, which covers neither the method nor the body: it is enough for what SDKs sign with it.
            None if !["/publish/", "/v2/subscribe/"]
                .iter()
                .any(|prefix| self.path.starts_with(prefix)) =>
            {
                false
            }
            None => {
                let keys = [set.subscribe_key(), set.publish_key()];
                let parts = [keys[0], keys[1], self.path, &query].join("\n");
                let expected = hmac(secret.as_bytes(), &[parts.as_bytes()]);
                is_equal(&expected, signature)
            }
        };
        valid.then_some(()).ok_or(BadSignature::Invalid)
    }

    /// All parameters but the signature, by name, each value encoded in one way.
    fn canonical_query(&self) -> String {
        let pairs = self.query.pairs().iter().copied();
        let mut pairs: Vec<_> = pairs.filter(|(name, _)| *name != "signature").collect();
        pairs.sort_by_key(|(name, _)| *name);
        let pairs = pairs.iter().map(|(name, value)| {
            let value = decode(value).unwrap_or_default();
            format!("{name}={}", utf8_percent_encode(&value, VALUE))
        });
        pairs.collect::<Vec<_>>().join("&")
    }
}

fn is_equal(expected: &[u8; LENGTH], found: &str) -> bool {
    let found = BASE64.decode(found);
    found.is_ok_and(|found| expected[..].ct_eq(&found).into())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn the_query_is_written_in_one_way() {
        let signed = Signed {
            method: &Method::GET,
            path: "/",
            query: &Query::parse("uuid=a%20b&signature=v2.x&auth=%7E*!'()&b=%c3%bc&timestamp=1"),
            body: b"",
        };
        assert_eq!(
            signed.canonical_query(),
            "auth=%7E%2A%21%27%28%29&b=%C3%BC&timestamp=1&uuid=a%20b"
        );
    }

    #[test]
    fn the_older_form_is_for_publishing_and_subscribing() {
        let set = KeySet::new("pub", "sub");
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let check = |path: &str, method: &Method| {
            let query = "timestamp=1000";
            let text = format!("sub\npub\n{path}\n{query}");
            let signature = URL_SAFE.encode(hmac(b"secret", &[text.as_bytes()]));
            let signed = Signed {
                method,
                path,
                query: &Query::parse(query),
                body: b"",
            };
            signed.check(&set, "secret", &signature, Some("1000"), now)
        };
        assert_eq!(check("/publish/pub/sub/0/c/0", &Method::POST), Ok(()));
        assert_eq!(check("/v2/subscribe/sub/c/0", &Method::GET), Ok(()));
        for path in [
            "/v3/pam/sub/grant",
            "/v3/history/sub-key/sub/channel/c",
            "/v2/presence/sub-key/sub/channel/c/leave",
        ] {
            assert_eq!(check(path, &Method::DELETE), Err(BadSignature::Invalid));
        }
    }

    #[test]
    fn a_signature_is_the_same_with_padding_and_without() {
        let set = KeySet::new("pub", "sub");
        let (path, query) = ("/publish/pub/sub/0/c/0/1", "timestamp=1000");
        let signed = Signed {
            method: &Method::GET,
            path,
            query: &Query::parse(query),
            body: b"",
        };
        let check = |signature: &str| {
            let now = UNIX_EPOCH + Duration::from_secs(1000);
            signed.check(&set, "secret", signature, Some("1000"), now)
        };
        let first = hmac(
            b"secret",
            &[format!("sub\npub\n{path}\n{query}").as_bytes()],
        );
        let second = format!("GET\npub\n{path}\n{query}\n");
        let second = hmac(b"secret", &[second.as_bytes()]);
        for engine in [URL_SAFE, URL_SAFE_NO_PAD] {
            assert_eq!(check(&engine.encode(first)), Ok(()));
            assert_eq!(check(&format!("v2.{}", engine.encode(second))), Ok(()));
            // Some of it is not enough.
            let cut = engine.encode(&first[..31]);
            assert_eq!(check(&cut), Err(BadSignature::Invalid));
        }
        for none in ["", "v2.", "v2.?", "="] {
            assert_eq!(check(none), Err(BadSignature::Invalid), "{none}");
        }
    }

    #[test]
    fn time_counts_before_the_signature() {
        let set = KeySet::new("pub", "sub");
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let query = "timestamp=1030";
        let text = format!("POST\npub\n/v3/pam/sub/grant\n{query}\n{{}}");
        let signature = URL_SAFE_NO_PAD.encode(hmac(b"secret", &[text.as_bytes()]));
        let signature = format!("v2.{signature}");
        let signed = Signed {
            method: &Method::POST,
            path: "/v3/pam/sub/grant",
            query: &Query::parse(query),
            body: b"{}",
        };
        let check = |secret, time, now| signed.check(&set, secret, &signature, time, now);
        assert_eq!(check("secret", Some("1030"), now), Ok(()));
        assert_eq!(
            check("other", Some("1030"), now),
            Err(BadSignature::Invalid)
        );
        let later = now + Duration::from_secs(91);
        assert_eq!(
            check("secret", Some("1030"), later),
            Err(BadSignature::Time)
        );
        assert_eq!(check("secret", None, now), Err(BadSignature::Time));
    }
}
