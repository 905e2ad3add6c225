//! Access keys, and the tokens that they sign.

use std::{
    borrow::Cow,
    fmt,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Uri;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use percent_encoding::percent_decode_str;
use polywire_core::{CredentialId, Identity};
use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Seconds that clocks may differ.
const LEEWAY: u64 = 30;

/// The access keys, of which either signs.
#[derive(Clone)]
pub(crate) struct Keys {
    primary: String,
    secondary: Option<String>,
    decoding: Vec<DecodingKey>,
}

/// What a client's token says.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub(crate) struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) aud: Option<Many>,
    pub(crate) exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iat: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<String>,
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub(crate) role: Many,
    #[serde(
        default,
        rename = "webpubsub.group",
        skip_serializing_if = "Many::is_empty"
    )]
    pub(crate) group: Many,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl Claims {
    /// What the token says of itself: when it was issued, when it ends, and what it is known by.
    pub(crate) fn identity(&self) -> Identity {
        let at = |secs| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs));
        let id = self.other.get("jti").and_then(Value::as_str);
        // Without a token there is nothing that was issued or ends.
        let is_token = self.exp > 0;
        Identity {
            credential: id.map(CredentialId::new),
            // One that does not say when is as old as can be.
            issued_at: is_token.then(|| at(self.iat.unwrap_or(0))).flatten(),
            // As late as the token counts where clocks differ.
            expires_at: is_token
                .then(|| at(self.exp.saturating_add(LEEWAY)))
                .flatten(),
            ..Identity::default()
        }
    }

    /// As they stood in the token.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(claims)) => claims,
            _ => Map::new(),
        }
    }
}

/// One text, or several.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Many {
    Several(Vec<String>),
    One(String),
}

impl Default for Many {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Many {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::Several(several) => several,
            Self::One(one) => std::slice::from_ref(one),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Keys {
    /// These keys, or a random one.
    pub(crate) fn new(primary: Option<String>, secondary: Option<String>) -> Self {
        polywire_core::cryptography::install();
        let primary = primary.unwrap_or_else(|| Alphanumeric.sample_string(&mut rand::rng(), 43));
        let keys = [Some(&primary), secondary.as_ref()].into_iter().flatten();
        // The text itself is the secret, also where it looks like base64.
        let decoding = keys
            .map(|key| DecodingKey::from_secret(key.as_bytes()))
            .collect();
        Self {
            primary,
            secondary,
            decoding,
        }
    }

    pub(crate) fn primary(&self) -> &str {
        &self.primary
    }

    /// The texts of the keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let keys = [Some(&self.primary), self.secondary.as_ref()];
        keys.into_iter().flatten().map(String::as_str)
    }

    /// What a token says, if one of the keys signed it, it has not expired, and it is for this path.
    pub(crate) fn verify(&self, token: &str, path: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        // Compared below: by path only.
        validation.validate_aud = false;
        if !understood(token) {
            return None;
        }
        let claims = self.decoding.iter().find_map(|key| {
            let token = jsonwebtoken::decode::<Claims>(token, key, &validation);
            token.ok().map(|token| token.claims)
        })?;
        let wanted = canonical(path);
        let audiences = claims.aud.as_ref().map(Many::as_slice).unwrap_or_default();
        let for_us = audiences.iter().any(|aud| is_for(aud, &wanted));
        for_us.then_some(claims)
    }

    /// Signs a token with the primary key.
    pub(crate) fn sign(&self, claims: &Claims) -> Option<String> {
        let key = EncodingKey::from_secret(self.primary.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).ok()
    }
}

/// False for a token whose header says that more has to be understood of it, which is nothing that is known here (RFC 7515
/// section 4.1.11), or that is no token at all.
fn understood(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Critical {
        crit: Option<Value>,
    }
    let header = token.split('.').next().unwrap_or_default();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).ok();
    header
        .and_then(|header| serde_json::from_slice::<Critical>(&header).ok())
        .is_some_and(|header| header.crit.is_none())
}

/// True for an audience, which is a URL, with this path.
fn is_for(audience: &str, wanted: &[Cow<'_, str>]) -> bool {
    match audience.parse::<Uri>() {
        Ok(uri) => is_same(&canonical(uri.path()), wanted),
        Err(_) => is_same(&canonical(audience), wanted),
    }
}

/// True for the same segments, where that of the hub is compared without case.
fn is_same(audience: &[Cow<'_, str>], wanted: &[Cow<'_, str>]) -> bool {
    let mut segments = audience.iter().zip(wanted).enumerate();
    audience.len() == wanted.len()
        && segments.all(|(at, (one, other))| match at {
            2 if wanted[1] == "hubs" => one.eq_ignore_ascii_case(other),
            _ => one == other,
        })
}

/// A path that can be compared: its segments, decoded, without empty ones. A slash that is encoded is none between segments.
fn canonical(path: &str) -> Vec<Cow<'_, str>> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
        .collect()
}

impl fmt::Debug for Keys {
    /// Shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("count", &self.decoding.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(audience: &str) -> Claims {
        Claims {
            aud: Some(Many::One(audience.into())),
            exp: now() + 60,
            sub: Some("u1".into()),
            ..Claims::default()
        }
    }

    #[test]
    fn either_key_signs_for_one_path() {
        let keys = Keys::new(Some("AAA=".into()), Some("second".into()));
        let other = Keys::new(Some("second".into()), None);
        let stranger = Keys::new(None, None);
        let path = "/client/hubs/chat";
        let token = claims("http://h:80//client/hubs/chat/?x=1");
        for keys_of_signer in [&keys, &other] {
            let signed = keys_of_signer.sign(&token).unwrap();
            let verified = keys.verify(&signed, path).unwrap();
            assert_eq!(verified.sub.as_deref(), Some("u1"));
            assert!(keys.verify(&signed, "/client/hubs/other").is_none());
            assert!(keys.verify(&signed, "/api/hubs/chat/:send").is_none());
        }
        assert!(keys.verify(&stranger.sign(&token).unwrap(), path).is_none());
        let mut expired = token.clone();
        expired.exp = now() - 120;
        assert!(keys.verify(&keys.sign(&expired).unwrap(), path).is_none());
        for bad in ["", "a.b.c", "eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9."] {
            assert!(keys.verify(bad, path).is_none());
        }
    }

    #[test]
    fn a_token_counts_from_its_time_on_and_only_where_all_of_it_is_understood() {
        let keys = Keys::new(Some("one".into()), None);
        let path = "/client/hubs/chat";
        let sign = |header: Value, more: Value| {
            let mut claims = serde_json::to_value(claims("http://h/client/hubs/chat")).unwrap();
            let more = more.as_object().unwrap().clone();
            claims.as_object_mut().unwrap().extend(more);
            let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
            let signed = format!("{}.{}", encode(&header), encode(&claims));
            let key = jsonwebtoken::EncodingKey::from_secret(b"one");
            let signature =
                jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
            keys.verify(&format!("{signed}.{signature}"), path)
                .is_some()
        };
        let plain = serde_json::json!({"alg": "HS256", "typ": "JWT"});
        let now = now();
        assert!(sign(plain.clone(), serde_json::json!({})));
        assert!(sign(plain.clone(), serde_json::json!({"nbf": now + 20})));
        assert!(!sign(plain.clone(), serde_json::json!({"nbf": now + 60})));
        for crit in [
            serde_json::json!(["exp"]),
            serde_json::json!(["x"]),
            serde_json::json!([]),
        ] {
            let header = serde_json::json!({"alg": "HS256", "crit": crit, "x": 1});
            assert!(!sign(header, serde_json::json!({})));
        }
    }

    #[test]
    fn a_slash_in_a_name_is_none_between_names() {
        let keys = Keys::new(None, None);
        let signed = |path| keys.sign(&claims(path)).unwrap();
        let one = signed("http://h/api/hubs/chat/users/a%2Fb/:send");
        let path = "/api/hubs/chat/users/a%2fb/:send";
        assert!(keys.verify(&one, path).is_some());
        assert!(
            keys.verify(&one, "/api/hubs/chat/users/a/b/:send")
                .is_none()
        );
        let two = signed("http://h/api/hubs/chat/users/a/groups/b");
        assert!(
            keys.verify(&two, "/api/hubs/chat/users/a%2Fgroups%2Fb")
                .is_none()
        );
    }

    #[test]
    fn the_name_of_a_hub_has_no_case() {
        let keys = Keys::new(None, None);
        let signed = |path| keys.sign(&claims(path)).unwrap();
        let client = signed("http://h/client/hubs/Chat");
        assert!(keys.verify(&client, "/client/hubs/cHAT").is_some());
        let user = signed("http://h/api/hubs/Chat/users/Ann/:send");
        assert!(
            keys.verify(&user, "/api/hubs/chat/users/Ann/:send")
                .is_some()
        );
        assert!(
            keys.verify(&user, "/api/hubs/chat/users/ann/:send")
                .is_none()
        );
    }

    #[test]
    fn a_rest_token_is_for_an_encoded_path() {
        let keys = Keys::new(None, None);
        let token = claims("http://h/api/hubs/chat/users/u%40x/:send?api-version=1&filter=a");
        let signed = keys.sign(&token).unwrap();
        assert!(
            keys.verify(&signed, "/api/hubs/chat/users/u%40x/:send")
                .is_some()
        );
    }

    #[test]
    fn a_role_is_one_text_or_several() {
        let read = |json: &str| serde_json::from_str::<Claims>(json).unwrap();
        let one = read(r#"{"exp":1,"role":"a","webpubsub.group":["g","h"],"x":[1]}"#);
        assert_eq!(one.role.as_slice(), ["a"]);
        assert_eq!(one.group.as_slice(), ["g", "h"]);
        assert!(one.other.contains_key("x"));
    }
}
