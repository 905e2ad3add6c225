//! The policy itself.

use std::sync::Arc;

use async_trait::async_trait;
use polywire_core::{
    AuthenticationError, AuthenticationPolicy, Credentials, Identity, cryptography,
    settings::{Problem, Settings},
};

use super::{
    claims::Mapping,
    fault::Fault,
    jwks::Jwks,
    key::Key,
    settings::JwtSettings,
    verifier::{self, Verifier},
};
use crate::roles::RoleSource;

/// Lets in whoever shows a JSON Web Token that one of the keys signed; its claims say who that is and what they may do.
///
/// A protocol's own place for a token or password comes first, then `Authorization: Bearer`, then the query.
///
/// # Examples
/// ```
/// use polywire_auth::{Jwt, JwtKeySettings, JwtSettings};
/// use polywire_core::settings::Secret;
///
/// let key = JwtKeySettings {
///     algorithm: "HS256".into(),
///     secret: Some(Secret::new("a secret of thirty-two random bytes")),
///     ..JwtKeySettings::default()
/// };
/// let settings = JwtSettings {
///     keys: vec![key],
///     ..JwtSettings::default()
/// };
/// let policy = Jwt::new(&settings)?;
/// # Ok::<(), Vec<polywire_core::settings::Problem>>(())
/// ```
#[derive(Debug)]
pub struct Jwt {
    keys: Vec<Key>,
    jwks: Option<Jwks>,
    verifier: Verifier,
    mapping: Mapping,
    /// None where the query is not looked at.
    query: Option<String>,
    roles: Option<Arc<RoleSource>>,
}

impl Jwt {
    /// The policy of these settings.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn new(settings: &JwtSettings) -> Result<Self, Vec<Problem>> {
        cryptography::install();
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let jwks = Jwks::new(settings).map_err(|problem| vec![problem])?;
        if settings.keys.is_empty() && jwks.is_none() {
            let message =
                "without a key no token can be verified: add one to [[jwt.keys]], or set jwks";
            return Err(vec![Problem::new("keys", message)]);
        }
        Ok(Self {
            keys: settings.parsed_keys()?,
            jwks,
            verifier: Verifier::new(settings),
            mapping: Mapping::new(settings),
            query: Some(settings.query.clone()).filter(|name| !name.is_empty()),
            roles: None,
        })
    }

    /// Sets where the roles come from that tokens name. Default: no role gives anything.
    #[must_use]
    pub fn roles(mut self, source: Arc<RoleSource>) -> Self {
        self.roles = Some(source);
        self
    }

    /// The token that is shown, if one is.
    fn shown(&self, credentials: &Credentials) -> Option<String> {
        if let Some(token) = &credentials.token {
            return Some(token.clone());
        }
        let in_header = credentials.bearer().map(str::to_owned);
        in_header.or_else(|| credentials.query_value(self.query.as_deref()?))
    }

    async fn identity(&self, token: &str, app: &str) -> Result<Identity, Fault> {
        let head = verifier::head(token)?;
        let head = verifier::read(&head)?;
        let claims = match (self.verifier.verify(token, &head, &self.keys), &self.jwks) {
            (Err(fault), Some(jwks)) if fault.is_of_key() => {
                let keys = jwks.keys(&head).await?;
                self.verifier.verify(token, &head, &keys)?
            }
            (verified, _) => verified?,
        };
        let book = match &self.roles {
            Some(source) => Some(source.book().await),
            None => None,
        };
        self.mapping.identity(&claims, |names, client, expires_at| {
            let book = book.as_ref();
            let grants =
                book.map(|book| book.grants(names.iter().copied(), app, client, expires_at));
            grants.unwrap_or_default()
        })
    }
}

#[async_trait]
impl AuthenticationPolicy for Jwt {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        let shown = self.shown(credentials).filter(|token| !token.is_empty());
        let token = shown.ok_or(AuthenticationError::Missing)?;
        let judged = self.identity(&token, credentials.app).await;
        judged.map_err(|fault| match fault {
            Fault::Unavailable(error) => AuthenticationError::Unavailable(error.into()),
            fault => {
                let (app, peer) = (credentials.app, credentials.peer);
                tracing::debug!(app, ?peer, %fault, "refused a token");
                AuthenticationError::Refused
            }
        })
    }

    fn weakness(&self) -> Option<String> {
        self.jwks.as_ref().filter(|jwks| jwks.is_open()).map(|_| {
            "The keys of tokens come from an address without TLS, where others can put theirs in \
             place of them: use https:// for jwt.jwks, or listen on 127.0.0.1."
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::testkit;
    use serde_json::json;

    use super::*;
    use crate::jwt::samples::{ALGORITHMS, KeyPair, in_an_hour, settings};

    fn with_token(token: String) -> Credentials {
        let mut credentials = Credentials::for_app("test");
        credentials.token = Some(token);
        credentials
    }

    #[tokio::test]
    async fn keeps_the_laws_with_every_algorithm() {
        for algorithm in ALGORITHMS {
            let pair = KeyPair::generate(algorithm);
            let claims = json!({ "sub": "ann", "exp": in_an_hour(), "rights": { "read": "a" } });
            let token = pair.sign(&claims);
            let mut in_query = Credentials::for_app("test");
            in_query.query = format!("a=1&token={token}&token=x");
            let mut in_header = Credentials::for_app("test");
            let header = format!("Bearer {token}").parse().unwrap();
            in_header.headers.insert("authorization", header);
            let accepted = [with_token(token.clone()), in_query, in_header];
            let other = KeyPair::other(algorithm).sign(&claims);
            let mut late = Credentials::for_app("test");
            late.query = format!("token=x&token={token}");
            let mut token_first = with_token("x".into());
            token_first.query = format!("token={token}");
            let refused = [
                Credentials::default(),
                with_token(String::new()),
                with_token("a.b.c".into()),
                with_token(other),
                late,
                token_first,
            ];
            let make = || Jwt::new(&settings([pair.settings()])).unwrap();
            testkit::authentication_laws(make, &accepted, &refused, &[&token]).await;
            assert!(make().weakness().is_none());
        }
    }

    #[tokio::test]
    async fn nothing_shown_is_missing_and_something_wrong_refused() {
        let pair = KeyPair::generate(jsonwebtoken::Algorithm::HS256);
        let policy = Jwt::new(&settings([pair.settings()])).unwrap();
        let nothing = policy.authenticate(&Credentials::default()).await;
        assert!(matches!(nothing, Err(AuthenticationError::Missing)));
        let wrong = policy.authenticate(&with_token("user:pass".into())).await;
        assert!(matches!(wrong, Err(AuthenticationError::Refused)));
    }

    #[tokio::test]
    async fn a_role_gives_what_the_configuration_says() {
        let pair = KeyPair::generate(jsonwebtoken::Algorithm::HS256);
        let roles: crate::RolesSettings =
            toml::from_str("role.device = { write = 'iot/{client}/#', apps = 'emitter' }").unwrap();
        let source = Arc::new(RoleSource::new(&roles).unwrap());
        let policy = Jwt::new(&settings([pair.settings()]))
            .unwrap()
            .roles(source);
        let claims = json!({ "sub": "d1", "exp": in_an_hour(), "roles": ["device", "others"] });
        let ask = async |app| {
            let mut credentials = with_token(pair.sign(&claims));
            credentials.app = app;
            policy.authenticate(&credentials).await.unwrap()
        };
        let (there, elsewhere) = (ask("emitter").await, ask("seth").await);
        let own = polywire_core::Channel::new("iot/d1/x").unwrap();
        assert!(there.allows(polywire_core::Permissions::WRITE, &own));
        assert_eq!(there.grants[0].expires_at, there.expires_at);
        assert!(elsewhere.grants.is_empty());
    }

    #[test]
    fn a_policy_without_keys_is_none() {
        let problems = Jwt::new(&JwtSettings::default()).unwrap_err();
        assert_eq!(problems[0].setting, "keys");
    }

    #[test]
    fn what_is_printed_for_debugging_shows_no_secret() {
        let pair = KeyPair::generate(jsonwebtoken::Algorithm::HS256);
        let settings = settings([pair.settings()]);
        let secret = settings.keys[0].secret.clone().unwrap();
        let shown = format!("{settings:?} {:?}", Jwt::new(&settings).unwrap());
        assert!(!shown.contains(secret.reveal()));
    }
}
