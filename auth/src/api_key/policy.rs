//! The policy itself.

use async_trait::async_trait;
use polywire_core::{
    AuthenticationError, AuthenticationPolicy, CredentialId, Credentials, Grant, Identity,
    InvalidScope, Rights,
};

use super::settings::ApiKeySettings;
use crate::secret::Secret;

/// Lets in whoever shows a secret in the query string, as in `/debug/?api_key=secret`.
///
/// Where the key is repeated, the first value counts. A protocol's own place for a token comes before the query.
///
/// # Examples
/// ```
/// use polywire_auth::ApiKey;
/// use polywire_core::{AuthenticationPolicy, Credentials};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let policy = ApiKey::default().key_name("batman").key_secret_value("bruce_wayne");
/// let mut credentials = Credentials::for_app("seth");
/// credentials.query = "batman=robin".into();
/// assert!(policy.authenticate(&credentials).await.is_err());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ApiKey {
    key_name: String,
    key_secret_value: Secret,
    grants: Vec<Grant>,
    is_default: bool,
}

impl ApiKey {
    /// A key with this name and this secret value.
    pub fn new(key_name: impl Into<String>, key_secret_value: &str) -> Self {
        Self {
            key_name: key_name.into(),
            key_secret_value: Secret::new(key_secret_value),
            grants: Identity::unrestricted().grants,
            is_default: key_secret_value == ApiKeySettings::default().key_secret_value.reveal(),
        }
    }

    /// Sets the name of the key.
    #[must_use]
    pub fn key_name(mut self, name: impl Into<String>) -> Self {
        self.key_name = name.into();
        self
    }

    /// Sets the secret value.
    #[must_use]
    pub fn key_secret_value(self, secret: &str) -> Self {
        Self {
            grants: self.grants,
            ..Self::new(self.key_name, secret)
        }
    }

    /// Sets what whoever has the key may do. Default: everything.
    ///
    /// # Errors
    /// The first name among them that is none.
    pub fn rights(mut self, rights: &Rights) -> Result<Self, InvalidScope> {
        self.grants = rights.grants(None, None)?;
        Ok(self)
    }
}

impl Default for ApiKey {
    /// The key `api_key` with the value `secret`: for trying out.
    fn default() -> Self {
        Self::from(&ApiKeySettings::default())
    }
}

impl From<&ApiKeySettings> for ApiKey {
    /// The policy of these settings; rights with a [problem](polywire_core::settings::Settings::problems) are none.
    fn from(settings: &ApiKeySettings) -> Self {
        let secret = settings.key_secret_value.reveal();
        Self {
            grants: settings.rights.grants(None, None).unwrap_or_default(),
            ..Self::new(&settings.key_name, secret)
        }
    }
}

#[async_trait]
impl AuthenticationPolicy for ApiKey {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        let shown = credentials.token.clone();
        let shown = shown.or_else(|| credentials.query_value(&self.key_name));
        let shown = shown.ok_or(AuthenticationError::Missing)?;
        if self.key_secret_value.is(shown.as_bytes()) {
            Ok(Identity {
                credential: Some(CredentialId::new(&self.key_name)),
                grants: self.grants.clone(),
                ..Identity::default()
            })
        } else {
            Err(AuthenticationError::Refused)
        }
    }

    fn weakness(&self) -> Option<String> {
        self.is_default.then(|| {
            "The API key has its default value, which everybody knows: set a secret of your own, \
             or listen on 127.0.0.1."
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polywire_core::testkit;

    fn shown(query: &str) -> Credentials {
        let mut credentials = Credentials::for_app("test");
        credentials.query = query.into();
        credentials
    }

    #[tokio::test]
    async fn keeps_the_laws() {
        let accepted = ["k=s3cr3t-v", "k=s3cr3t-v&k=no", "a=1&k=s3cr3t%2Dv"].map(shown);
        let refused = ["", "k", "k=", "k=no", "k=no&k=s3cr3t-v", "K=s3cr3t-v"].map(shown);
        let token = |token: &str, query: &str| {
            let mut credentials = shown(query);
            credentials.token = Some(token.into());
            credentials
        };
        let accepted = [&accepted[..], &[token("s3cr3t-v", "k=no")]].concat();
        let refused = [
            &refused[..],
            &[token("", "k=s3cr3t-v"), token("no", "k=s3cr3t-v")],
        ]
        .concat();
        let make = || ApiKey::new("k", "s3cr3t-v");
        testkit::authentication_laws(make, &accepted, &refused, &["s3cr3t-v"]).await;
        assert!(!format!("{:?}", make()).contains("s3cr3t-v"));
    }

    #[tokio::test]
    async fn the_default_is_that_of_seth_and_known_to_be_weak() {
        let policy = ApiKey::default();
        assert!(policy.authenticate(&shown("api_key=secret")).await.is_ok());
        assert!(policy.weakness().is_some());
        assert!(policy.clone().key_name("batman").weakness().is_some());
        assert!(policy.key_secret_value("bruce_wayne").weakness().is_none());
    }
}
