//! Settings of the token policy.

use polywire_core::{
    Rights,
    settings::{Problem, Settings, text, texts},
};
use serde::Deserialize;

use super::{key::Key, key_settings::JwtKeySettings};
use crate::{http_client, rights::problems_of_rights};

/// `[jwt]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "struct JwtSection")]
pub struct JwtSettings {
    /// `[[jwt.keys]]`
    pub keys: Vec<JwtKeySettings>,
    /// The address of a set of keys (RFC 7517), beside those above: `https://…`, or `http://…` on this machine. Default none.
    pub jwks: Option<String>,
    /// Seconds after which the set is fetched again. Default 300.
    pub jwks_refresh_secs: u64,
    /// Seconds between two fetches at least, also where tokens name keys that are not in the set. Default 10.
    pub jwks_retry_secs: u64,
    /// Seconds that a fetch may take. Default 5.
    pub jwks_timeout_secs: u64,
    /// Seconds that keys count at most after their last fetch, when the address does not answer; then nobody is let in by
    /// them. Default 3,600.
    pub jwks_outage_secs: u64,
    /// Bytes of the set, at most. Default 256 KiB.
    pub jwks_bytes_max: usize,
    /// Whom a token must be for, one of its `aud`, as a text or a list of which one is enough. Without it a token with `aud`
    /// is refused: it is for somebody else. Default none.
    #[serde(deserialize_with = "texts")]
    pub audience: Vec<String>,
    /// Who must have issued a token, its `iss`, as a text or a list of which one is enough. Default none: anybody with a key.
    #[serde(deserialize_with = "texts")]
    pub issuer: Vec<String>,
    /// Seconds that the clocks of issuers may differ: a token counts so much longer, and so much earlier. Default 5.
    pub leeway_secs: u64,
    /// Refuses tokens that never end. Default true.
    pub require_expiry: bool,
    /// Claims that a token must have, as a text or a list, such as `["sub", "jti"]`. Default none.
    #[serde(deserialize_with = "texts")]
    pub required: Vec<String>,
    /// The claim with the id of the client; a token without it proves none. Here and below `a.b` is also the claim `b` within
    /// `a`. Default `sub`.
    #[serde(deserialize_with = "text")]
    pub client_claim: String,
    /// The claim with rights, such as `{ "read": "news/#", "write": ["a", "b"] }`. Default `rights`.
    #[serde(deserialize_with = "text")]
    pub rights_claim: String,
    /// The claim with names of roles, as a text or a list; those that are not in `[roles]` give nothing. Default `roles`.
    #[serde(deserialize_with = "text")]
    pub roles_claim: String,
    /// The rights of a token that has neither of these two claims. Default none.
    pub rights: Rights,
    /// Refuses a client that says to be somebody else than its token says; otherwise it gets the id of the token. Default
    /// false.
    pub same_id: bool,
    /// The query parameter with the token, beside `Authorization: Bearer` and the places that protocols have for it; with an
    /// empty text the query is not looked at. Default `token`.
    #[serde(deserialize_with = "text")]
    pub query: String,
}

impl JwtSettings {
    /// The keys, as they can be used.
    pub(crate) fn parsed_keys(&self) -> Result<Vec<Key>, Vec<Problem>> {
        let mut keys = Vec::new();
        let mut problems = Vec::new();
        for (index, settings) in self.keys.iter().enumerate() {
            match Key::from_settings(settings) {
                Ok(key) => keys.push(key),
                Err(problem) => problems.push(problem.within(&format!("keys.{index}"))),
            }
        }
        if problems.is_empty() {
            Ok(keys)
        } else {
            Err(problems)
        }
    }
}

impl Default for JwtSettings {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            jwks: None,
            jwks_refresh_secs: 300,
            jwks_retry_secs: 10,
            jwks_timeout_secs: 5,
            jwks_outage_secs: 3600,
            jwks_bytes_max: 256 << 10,
            audience: Vec::new(),
            issuer: Vec::new(),
            leeway_secs: 5,
            require_expiry: true,
            required: Vec::new(),
            client_claim: "sub".into(),
            rights_claim: "rights".into(),
            roles_claim: "roles".into(),
            rights: Rights::default(),
            same_id: false,
            query: "token".into(),
        }
    }
}

impl Settings for JwtSettings {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.parsed_keys().err().unwrap_or_default();
        let empty = |texts: &[String]| texts.iter().any(String::is_empty);
        problems.extend(Problem::empty_texts([
            ("audience", empty(&self.audience)),
            ("issuer", empty(&self.issuer)),
            ("required", empty(&self.required)),
            ("client_claim", self.client_claim.is_empty()),
            ("rights_claim", self.rights_claim.is_empty()),
            ("roles_claim", self.roles_claim.is_empty()),
        ]));
        let jwks = self.jwks.as_deref().map(http_client::url);
        if jwks.is_some_and(|url| url.is_none()) {
            let message = "use an address that begins with http:// or https://";
            problems.push(Problem::new("jwks", message));
        }
        problems.extend(Problem::zeros([
            ("jwks_timeout_secs", self.jwks_timeout_secs == 0),
            ("jwks_outage_secs", self.jwks_outage_secs == 0),
            ("jwks_bytes_max", self.jwks_bytes_max == 0),
        ]));
        if self.leeway_secs > 3600 {
            problems.push(Problem::new("leeway_secs", "must be 3600 at most"));
        }
        problems.extend(problems_of_rights(&self.rights));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_named() {
        let settings = JwtSettings {
            keys: vec![JwtKeySettings::default()],
            audience: vec![String::new()],
            leeway_secs: 3601,
            rights: Rights {
                read: vec!["a*".into()],
                ..Rights::default()
            },
            ..JwtSettings::default()
        };
        let named: Vec<_> = settings.problems().into_iter().map(|p| p.setting).collect();
        let expected = ["keys.0.algorithm", "audience", "leeway_secs", "rights.read"];
        assert_eq!(named, expected);
        assert!(JwtSettings::default().problems().is_empty());
    }
}
