//! The policy itself.

use async_trait::async_trait;
use polywire_core::{AuthenticationError, AuthenticationPolicy, Credentials, Identity};

use super::settings::ApiKeySettings;
use crate::secret::Secret;

/// Lets in whoever shows a secret in the query string, as in `/debug/?api_key=secret`.
///
/// Where the key is repeated, the first value counts.
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
    is_default: bool,
}

impl ApiKey {
    /// A key with this name and this secret value.
    pub fn new(key_name: impl Into<String>, key_secret_value: &str) -> Self {
        Self {
            key_name: key_name.into(),
            key_secret_value: Secret::new(key_secret_value),
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
        Self::new(self.key_name, secret)
    }
}

impl Default for ApiKey {
    /// The key `api_key` with the value `secret`: for trying out.
    fn default() -> Self {
        Self::from(&ApiKeySettings::default())
    }
}

impl From<&ApiKeySettings> for ApiKey {
    fn from(settings: &ApiKeySettings) -> Self {
        Self::new(&settings.key_name, settings.key_secret_value.reveal())
    }
}

#[async_trait]
impl AuthenticationPolicy for ApiKey {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        let Some(shown) = credentials.query_value(&self.key_name) else {
            return Err(AuthenticationError::Missing);
        };
        if self.key_secret_value.is(shown.as_bytes()) {
            Ok(Identity::unrestricted())
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
