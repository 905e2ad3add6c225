//! Issue of tokens, for programs that have none who does it for them.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use polywire_core::{Rights, cryptography, settings::Problem};
use serde_json::{Map, Value, json};
use spki::der::Document;

use super::{
    fault::Fault,
    key_settings::JwtKeySettings,
    settings::JwtSettings,
    verifier::{self, Verifier},
};

/// What a new token says.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// The client that its bearer is; none for nobody in particular.
    pub client: Option<String>,
    /// What may be done with it; none leaves it to the roles, or to the server.
    pub rights: Option<Rights>,
    /// Its roles.
    pub roles: Vec<String>,
    /// By what it can be taken back; none for something random.
    pub credential: Option<String>,
    /// How long it counts from now on; none for ever.
    pub life: Option<Duration>,
}

/// Why a token cannot be issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// No key of the settings signs.
    #[error(
        "there is no key to sign with: one of [[jwt.keys]] needs a secret, or a private_key_file beside its public key"
    )]
    NoKey,
    /// A setting is wrong.
    #[error("jwt.{0}")]
    Setting(Problem),
    /// A name among the rights is none.
    #[error("{0}")]
    Rights(polywire_core::InvalidScope),
    /// The server would not take it.
    #[error("the server would refuse the token: {0}")]
    Refused(String),
}

impl JwtSettings {
    /// Signs a token with the first key that can sign. It is what a server with the same settings takes: for its first
    /// audience, and from its first issuer.
    ///
    /// # Errors
    /// See [`IssueError`].
    pub fn issue(&self, token: &NewToken) -> Result<String, IssueError> {
        cryptography::install();
        if let Some((_, error)) = token.rights.iter().flat_map(Rights::problems).next() {
            return Err(IssueError::Rights(error));
        }
        let signs = |key: &&JwtKeySettings| match key.algorithm() {
            Ok(algorithm) if algorithm.family() == AlgorithmFamily::Hmac => true,
            _ => key.private_key_file.is_some(),
        };
        let index = self.keys.iter().position(|key| signs(&key));
        let index = index.ok_or(IssueError::NoKey)?;
        let within =
            |problem: Problem| IssueError::Setting(problem.within(&format!("keys.{index}")));
        let key = &self.keys[index];
        let algorithm = key.algorithm().map_err(within)?;
        let private = key.private_key(algorithm).map_err(within)?;
        let header = Header {
            kid: key.kid.clone(),
            ..Header::new(algorithm)
        };
        let signed = jsonwebtoken::encode(&header, &self.claims(token), &private);
        let signed = signed.map_err(|_| {
            let problem = Problem::new("private_key_file", format!("does not sign {algorithm:?}"));
            within(problem)
        })?;
        self.check(&signed)?;
        Ok(signed)
    }

    fn claims(&self, token: &NewToken) -> Map<String, Value> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
        say("iat", json!(now.as_secs()));
        if let Some(life) = token.life {
            say("exp", json!(now.saturating_add(life).as_secs()));
        }
        if let Some(audience) = self.audience.first() {
            say("aud", json!(audience));
        }
        if let Some(issuer) = self.issuer.first() {
            say("iss", json!(issuer));
        }
        if let Some(client) = &token.client {
            say(&self.client_claim, json!(client));
        }
        let random = || format!("{:032x}", rand::random::<u128>());
        say(
            "jti",
            json!(token.credential.clone().unwrap_or_else(random)),
        );
        if let Some(rights) = &token.rights {
            say(&self.rights_claim, json!(rights));
        }
        if !token.roles.is_empty() {
            say(&self.roles_claim, json!(token.roles));
        }
        claims
    }

    /// Whether a server with these settings takes a token.
    fn check(&self, signed: &str) -> Result<(), IssueError> {
        let keys = self.parsed_keys().map_err(|problems| {
            let first = problems.into_iter().next();
            first.map_or(IssueError::NoKey, IssueError::Setting)
        })?;
        let refused = |fault: Fault| IssueError::Refused(fault.to_string());
        let head = verifier::head(signed).map_err(refused)?;
        let head = verifier::read(&head).map_err(refused)?;
        let verified = Verifier::new(self).verify(signed, &head, &keys);
        verified.map(drop).map_err(|fault| match fault {
            Fault::Missing(name) if name == "exp" => {
                IssueError::Refused("it never ends, and jwt.require_expiry is on".into())
            }
            fault if fault.is_of_key() => {
                IssueError::Refused("private_key_file does not belong to its public key".into())
            }
            fault => refused(fault),
        })
    }
}

impl JwtKeySettings {
    /// What signs.
    fn private_key(&self, algorithm: Algorithm) -> Result<EncodingKey, Problem> {
        match (algorithm.family(), &self.private_key_file) {
            (AlgorithmFamily::Hmac, _) => Ok(EncodingKey::from_secret(self.secret()?.as_bytes())),
            (_, Some(file)) => private_key(file, algorithm)
                .map_err(|message| Problem::new("private_key_file", message)),
            (_, None) => Err(Problem::new("private_key_file", "set it")),
        }
    }
}

fn private_key(file: &Path, algorithm: Algorithm) -> Result<EncodingKey, String> {
    let shown = file.display();
    let pem =
        fs::read_to_string(file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let no_key = || {
        format!(
            "{shown} holds no private key as PKCS #8: write it as `openssl pkcs8 -topk8 -nodes` does, from BEGIN PRIVATE KEY on"
        )
    };
    let (label, key) = Document::from_pem(pem.trim()).map_err(|_| no_key())?;
    if label != "PRIVATE KEY" {
        return Err(no_key());
    }
    Ok(match algorithm.family() {
        AlgorithmFamily::Rsa => EncodingKey::from_rsa_der(key.as_bytes()),
        AlgorithmFamily::Ec => EncodingKey::from_ec_der(key.as_bytes()),
        _ => EncodingKey::from_ed_der(key.as_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use polywire_core::{
        AuthenticationPolicy, ClientId, CredentialId, Credentials, settings::Secret,
    };
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::jwt::{
        policy::Jwt,
        samples::{ALGORITHMS, KeyPair, settings},
    };

    fn with_files(pair: &KeyPair, folder: &Path) -> JwtSettings {
        let file = folder.join(format!("{:?}.pem", pair.algorithm));
        let mut key = pair.settings();
        key.kid = Some("one".into());
        if pair.algorithm.family() != AlgorithmFamily::Hmac {
            fs::write(&file, pair.private_pem()).unwrap();
            key.private_key_file = Some(file);
        }
        JwtSettings {
            audience: vec!["us".into(), "we".into()],
            issuer: vec!["them".into()],
            client_claim: "user.id".into(),
            ..settings([key])
        }
    }

    #[tokio::test]
    async fn what_is_issued_with_any_algorithm_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        for algorithm in ALGORITHMS {
            let pair = KeyPair::generate(algorithm);
            let settings = with_files(&pair, folder.path());
            let token = NewToken {
                client: Some("ann".into()),
                rights: Some(Rights::everything()),
                credential: Some("t-1".into()),
                life: Some(Duration::from_secs(60)),
                ..NewToken::default()
            };
            let mut credentials = Credentials::for_app("test");
            credentials.token = Some(settings.issue(&token).unwrap());
            let policy = Jwt::new(&settings).unwrap();
            let identity = policy.authenticate(&credentials).await.unwrap();
            assert_eq!(identity.client, ClientId::new("ann").ok());
            assert_eq!(identity.credential, Some(CredentialId::new("t-1")));
            assert!(identity.issued_at.is_some() && !identity.is_expired());
            assert_eq!(identity.grants.len(), 1);
        }
    }

    #[test]
    fn what_would_be_refused_is_not_issued() {
        let folder = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate(Algorithm::ES256);
        let good = with_files(&pair, folder.path());
        let token = NewToken {
            life: Some(Duration::from_secs(60)),
            ..NewToken::default()
        };
        let said = |settings: &JwtSettings, token: &NewToken| {
            settings.issue(token).unwrap_err().to_string()
        };
        assert!(said(&good, &NewToken::default()).contains("never ends"));
        let wrong = NewToken {
            rights: Some(Rights {
                read: vec!["a*".into()],
                ..Rights::default()
            }),
            ..token.clone()
        };
        assert!(said(&good, &wrong).contains("a*"));
        let mut other = good.clone();
        other.keys[0].public_key = KeyPair::generate(Algorithm::ES256).settings().public_key;
        assert!(said(&other, &token).contains("does not belong"));
        let mut no_key = good.clone();
        no_key.keys[0].private_key_file = None;
        assert!(said(&no_key, &token).contains("no key to sign with"));
        let mut no_pem = good.clone();
        let file = folder.path().join("none.pem");
        fs::write(&file, "none").unwrap();
        no_pem.keys[0].private_key_file = Some(file);
        assert!(said(&no_pem, &token).contains("openssl"));
        let mut required = good;
        required.required = vec!["user.id".into()];
        assert!(said(&required, &token).contains("user.id"));
        let mut short = required;
        short.keys[0] = JwtKeySettings {
            algorithm: "HS256".into(),
            secret: Some(Secret::new("short")),
            ..JwtKeySettings::default()
        };
        assert!(said(&short, &token).starts_with("jwt.keys.0.secret"));
    }

    /// A name or a wildcard.
    fn name() -> impl Strategy<Value = String> {
        "[a-z$é ]{1,8}(/[a-z]{1,3}){0,2}(/#)?|[*#]|[a-z]{1,4}\\.\\*|\\+/[a-z]|x/\\{client\\}"
    }

    proptest! {
        /// What a token is to say is what the policy reads in it: nothing is lost, and nothing is added.
        #[test]
        fn what_is_issued_is_what_is_read(
            client in proptest::option::of(".{1,20}"),
            credential in ".{1,20}",
            read in vec(name(), 0..4),
            write in vec(name(), 0..4),
            manage in vec(name(), 0..2),
        ) {
            let rights = Rights { read, write, manage, ..Rights::default() };
            let pair = KeyPair::generate(Algorithm::HS256);
            let settings = settings([pair.settings()]);
            let token = NewToken {
                client: client.clone(),
                rights: Some(rights.clone()),
                credential: Some(credential.clone()),
                life: Some(Duration::from_secs(60)),
                ..NewToken::default()
            };
            let mut credentials = Credentials::for_app("test");
            credentials.token = Some(settings.issue(&token).unwrap());
            let policy = Jwt::new(&settings).unwrap();
            let answer = policy.authenticate(&credentials).now_or_never();
            let identity = answer.expect("it waits for nothing").unwrap();
            let client = client.map(|id| ClientId::new(&id).unwrap());
            let grants = rights.grants(client.as_ref(), identity.expires_at).unwrap();
            prop_assert!(identity.expires_at.is_some());
            prop_assert_eq!(identity.grants, grants);
            prop_assert_eq!(identity.client, client);
            prop_assert_eq!(identity.credential, Some(CredentialId::new(&credential)));
        }
    }
}
