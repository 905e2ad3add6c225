//! Verification of tokens: their form, their signature, and the claims that RFC 7519 defines.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Map, Value};

use super::{fault::Fault, key::Key, settings::JwtSettings};

/// Bytes of a token, at most. Headers of HTTP are not longer either.
pub(crate) const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What must hold for every token.
#[derive(Debug)]
pub(crate) struct Verifier {
    audience: Vec<String>,
    issuer: Vec<String>,
    required: Vec<String>,
    leeway_secs: u64,
}

/// What is read of a header before anything is believed. Addresses of keys in it (`jku`, `x5u`) and keys in it (`jwk`, `x5c`)
/// are not looked at: whoever makes a token does not say what it is verified with.
#[derive(Deserialize)]
pub(crate) struct Head<'h> {
    #[serde(borrow)]
    alg: Cow<'h, str>,
    #[serde(borrow, default)]
    kid: Option<Cow<'h, str>>,
    /// Extensions that must be understood: none is.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl Head<'_> {
    /// True when this key may have signed the token.
    pub(crate) fn is_of(&self, key: &Key) -> bool {
        let same_kid = match (&self.kid, &key.kid) {
            (Some(kid), Some(own)) => kid == own,
            _ => true,
        };
        self.alg.parse() == Ok(key.algorithm) && same_kid
    }
}

/// The bytes of a token's header.
pub(crate) fn head(token: &str) -> Result<Vec<u8>, Fault> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Fault::TooLong(TOKEN_BYTES_MAX));
    }
    let (head, _) = token.split_once('.').ok_or(Fault::NoToken)?;
    BASE64_URL_SAFE_NO_PAD
        .decode(head)
        .map_err(|_| Fault::NoToken)
}

/// What can be read of a header.
pub(crate) fn read(head: &[u8]) -> Result<Head<'_>, Fault> {
    let head: Head<'_> = serde_json::from_slice(head).map_err(|_| Fault::NoToken)?;
    if head.crit {
        return Err(Fault::Critical);
    }
    Ok(head)
}

impl Verifier {
    pub(crate) fn new(settings: &JwtSettings) -> Self {
        let mut required = settings.required.clone();
        let mut require = |name: &str| {
            if !required.iter().any(|other| other == name) {
                required.push(name.to_owned());
            }
        };
        if settings.require_expiry {
            require("exp");
        }
        if !settings.audience.is_empty() {
            require("aud");
        }
        if !settings.issuer.is_empty() {
            require("iss");
        }
        Self {
            audience: settings.audience.clone(),
            issuer: settings.issuer.clone(),
            required,
            leeway_secs: settings.leeway_secs,
        }
    }

    /// The claims of a token that one of the keys signed and that counts here and now.
    pub(crate) fn verify(
        &self,
        token: &str,
        head: &Head<'_>,
        keys: &[Key],
    ) -> Result<Map<String, Value>, Fault> {
        let mut fault = Fault::NoKey;
        for key in keys.iter().filter(|key| head.is_of(key)) {
            let validation = self.validation(key.algorithm);
            match jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &validation) {
                Ok(token) => return self.complete(token.claims),
                // Another key may have signed it.
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
                    fault = error.into();
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(fault)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway_secs;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&self.required);
        if !self.audience.is_empty() {
            validation.set_audience(&self.audience);
        }
        if !self.issuer.is_empty() {
            validation.set_issuer(&self.issuer);
        }
        validation
    }

    /// The claims, if none is missing.
    fn complete(&self, claims: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        let is_missing = |name: &&String| claims.get(*name).is_none_or(Value::is_null);
        match self.required.iter().find(is_missing) {
            Some(name) => Err(Fault::Missing(name.clone())),
            None => Ok(claims),
        }
    }
}

/// True for whatever is there, also for nothing that is said to be there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}
