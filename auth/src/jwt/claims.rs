//! Claims, as an identity: who the bearer of a token is, and what they may do.

use std::time::{Duration, SystemTime};

use polywire_core::{ClientId, CredentialId, Grant, Identity, Rights};
use serde_json::{Map, Value};

use super::{fault::Fault, settings::JwtSettings};

/// Which claim says what.
#[derive(Debug)]
pub(crate) struct Mapping {
    client_claim: String,
    rights_claim: String,
    roles_claim: String,
    rights: Rights,
    same_id: bool,
    leeway: Duration,
}

impl Mapping {
    pub(crate) fn new(settings: &JwtSettings) -> Self {
        Self {
            client_claim: settings.client_claim.clone(),
            rights_claim: settings.rights_claim.clone(),
            roles_claim: settings.roles_claim.clone(),
            rights: settings.rights.clone(),
            same_id: settings.same_id,
            leeway: Duration::from_secs(settings.leeway_secs),
        }
    }

    /// The identity that these claims give.
    ///
    /// `roles` gives the grants of the roles of these names to a client, until a time.
    pub(crate) fn identity(
        &self,
        claims: &Map<String, Value>,
        roles: impl Fn(&[&str], Option<&ClientId>, Option<SystemTime>) -> Vec<Grant>,
    ) -> Result<Identity, Fault> {
        let wrong = |name: &str| Fault::Claim(name.to_owned());
        let client = self.client(claims)?;
        let issued_at = time(claims, "iat")?;
        // A token of tomorrow would outlive what is said of all tokens of today.
        if issued_at.is_some_and(|at| at > SystemTime::now() + self.leeway) {
            return Err(wrong("iat"));
        }
        let end = time(claims, "exp")?;
        let end = end.map(|end| end.checked_add(self.leeway).ok_or_else(|| wrong("exp")));
        let expires_at = end.transpose()?;
        let given = |rights: &Rights| rights.grants(client.as_ref(), expires_at);
        let mut grants = Vec::new();
        let rights = find(claims, &self.rights_claim);
        if let Some(rights) = rights {
            // A list would be taken for the rights in their order.
            let rights = Some(rights).filter(|rights| rights.is_object()).cloned();
            let rights: Option<Rights> = rights.and_then(|all| serde_json::from_value(all).ok());
            let rights = rights.as_ref().and_then(|rights| given(rights).ok());
            grants = rights.ok_or_else(|| wrong(&self.rights_claim))?;
        }
        let names = find(claims, &self.roles_claim);
        if let Some(names) = names {
            let names = texts(names).ok_or_else(|| wrong(&self.roles_claim))?;
            grants.extend(roles(&names, client.as_ref(), expires_at));
        }
        if rights.is_none() && names.is_none() {
            grants = given(&self.rights).map_err(|_| wrong(&self.rights_claim))?;
        }
        Ok(Identity {
            client,
            credential: credential(claims)?,
            // One that does not say when is as old as can be.
            issued_at: issued_at.or(Some(SystemTime::UNIX_EPOCH)),
            expires_at,
            grants,
            refuses_other_ids: self.same_id,
            ..Identity::default()
        })
    }

    fn client(&self, claims: &Map<String, Value>) -> Result<Option<ClientId>, Fault> {
        let client = match find(claims, &self.client_claim) {
            None => return Ok(None),
            Some(Value::String(text)) => ClientId::new(text).ok(),
            Some(Value::Number(number)) => Some(ClientId::number(number)),
            Some(_) => None,
        };
        let wrong = || Fault::Claim(self.client_claim.clone());
        client.map(Some).ok_or_else(wrong)
    }
}

/// What tells the token from others.
fn credential(claims: &Map<String, Value>) -> Result<Option<CredentialId>, Fault> {
    match find(claims, "jti") {
        None => Ok(None),
        Some(Value::String(id)) if !id.is_empty() => Ok(Some(CredentialId::new(id))),
        Some(_) => Err(Fault::Claim("jti".into())),
    }
}

/// A claim of this name, or else of this path; none that is null.
fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let found = claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        let first = claims.get(first)?.as_object()?;
        find(first, rest)
    });
    found.filter(|value| !value.is_null())
}

/// One text, or a list of texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A time in seconds since 1970, of which parts are left out.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, Fault> {
    let Some(value) = find(claims, name) else {
        return Ok(None);
    };
    let whole = |secs: f64| (secs >= 0.0 && secs < u64::MAX as f64).then_some(secs as u64);
    let secs = value.as_u64().or_else(|| value.as_f64().and_then(whole));
    let time = secs.and_then(|secs| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs)));
    time.map(Some).ok_or_else(|| Fault::Claim(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, Permissions};
    use serde_json::json;

    use super::*;

    fn no_roles(_: &[&str], _: Option<&ClientId>, _: Option<SystemTime>) -> Vec<Grant> {
        Vec::new()
    }

    fn identity(settings: &JwtSettings, claims: Value) -> Result<Identity, Fault> {
        let claims = claims.as_object().unwrap();
        Mapping::new(settings).identity(claims, no_roles)
    }

    fn allows(identity: &Identity, permissions: Permissions, channel: &str) -> bool {
        identity.allows(permissions, &Channel::new(channel).unwrap())
    }

    #[test]
    fn claims_are_an_identity() {
        let settings = JwtSettings {
            same_id: true,
            leeway_secs: 2,
            ..JwtSettings::default()
        };
        let claims = json!({
            "sub": "ann", "jti": "t-1", "iat": 1_700_000_000, "exp": 4_000_000_000.5_f64,
            "rights": { "read": "news/#", "write": ["iot/{client}/#"] },
        });
        let identity = identity(&settings, claims).unwrap();
        assert_eq!(identity.client, ClientId::new("ann").ok());
        assert_eq!(identity.credential, Some(CredentialId::new("t-1")));
        let at = |secs| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(secs));
        assert_eq!(identity.issued_at, at(1_700_000_000));
        assert_eq!(identity.expires_at, at(4_000_000_002));
        assert!(identity.refuses_other_ids);
        assert!(
            identity
                .grants
                .iter()
                .all(|g| g.expires_at == identity.expires_at)
        );
        assert!(allows(&identity, Permissions::READ, "news/a"));
        assert!(allows(&identity, Permissions::WRITE, "iot/ann/x"));
        assert!(!allows(&identity, Permissions::WRITE, "iot/bob/x"));
        assert!(!allows(&identity, Permissions::WRITE, "news/a"));
    }

    #[test]
    fn the_default_rights_are_for_tokens_that_say_nothing_of_rights() {
        let settings = JwtSettings {
            rights: Rights {
                read: vec!["open".into()],
                ..Rights::default()
            },
            ..JwtSettings::default()
        };
        let reads = |claims: Value| {
            let identity = identity(&settings, claims).unwrap();
            allows(&identity, Permissions::READ, "open")
        };
        assert!(reads(json!({})) && reads(json!({ "rights": null, "roles": null })));
        for claims in [
            json!({ "rights": {} }),
            json!({ "roles": [] }),
            json!({ "roles": "unknown" }),
            json!({ "rights": { "write": "open" } }),
        ] {
            assert!(!reads(claims.clone()), "{claims}");
        }
    }

    #[test]
    fn a_claim_has_a_name_or_a_path() {
        let settings = JwtSettings {
            client_claim: "user.id".into(),
            roles_claim: "https://example.org/roles".into(),
            rights_claim: "https://example.org/rights".into(),
            ..JwtSettings::default()
        };
        let claims = json!({
            "user": { "id": 7 },
            "https://example.org/rights": { "read": "a" },
            "https://example.org/roles": ["one", "two"],
        });
        let claims = claims.as_object().unwrap();
        let mapping = Mapping::new(&settings);
        let identity = mapping.identity(claims, |names, client, _| {
            assert_eq!(names, ["one", "two"]);
            assert_eq!(client.unwrap().as_str(), "7");
            Vec::new()
        });
        let identity = identity.unwrap();
        assert!(identity.client.as_ref().unwrap().is_numeric());
        assert!(allows(&identity, Permissions::READ, "a"));
    }

    #[test]
    fn claims_that_cannot_be_read_are_refused_and_not_left_out() {
        let settings = JwtSettings::default();
        let later = SystemTime::now() + Duration::from_secs(60);
        let later = later.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        for claims in [
            json!({ "sub": "" }),
            json!({ "sub": ["ann"] }),
            json!({ "jti": 7 }),
            json!({ "jti": "" }),
            json!({ "iat": later.as_secs() }),
            json!({ "iat": "now" }),
            json!({ "exp": -1 }),
            json!({ "exp": u64::MAX }),
            json!({ "exp": 1e300 }),
            json!({ "rights": "everything" }),
            json!({ "rights": [["a"]] }),
            json!({ "rights": { "all": "*" } }),
            json!({ "rights": { "read": "a*" } }),
            json!({ "roles": { "staff": true } }),
            json!({ "roles": ["a", 7] }),
        ] {
            let fault = identity(&settings, claims.clone());
            assert!(matches!(fault, Err(Fault::Claim(_))), "{claims}");
        }
    }
}
