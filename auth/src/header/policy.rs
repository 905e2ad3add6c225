//! The policy itself.

use async_trait::async_trait;
use http::HeaderName;
use polywire_core::{
    AuthenticationError, AuthenticationPolicy, CredentialId, Credentials, Grant, Identity,
    InvalidScope, Rights, settings::Problem,
};

use super::settings::HeaderSettings;
use crate::secret::Secret;

/// Lets in whoever shows a secret in a header of the request, or where a protocol has a place of its own for a token.
///
/// # Examples
/// ```
/// use polywire_auth::Header;
/// use polywire_core::{AuthenticationPolicy, Credentials};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let policy = Header::new("X-Backend-Key".parse().unwrap(), "hunter2");
/// let mut credentials = Credentials::for_app("seth");
/// credentials.headers.insert("x-backend-key", "hunter2".parse().unwrap());
/// assert!(policy.authenticate(&credentials).await.is_ok());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Header {
    secret_header: HeaderName,
    secret_header_value: Secret,
    grants: Vec<Grant>,
    is_default: bool,
}

impl Header {
    /// A header with this name and this secret value.
    pub fn new(secret_header: HeaderName, secret_header_value: &str) -> Self {
        Self {
            secret_header,
            secret_header_value: Secret::new(secret_header_value),
            grants: Identity::unrestricted().grants,
            is_default: secret_header_value
                == HeaderSettings::default().secret_header_value.reveal(),
        }
    }

    /// Sets the name of the header.
    #[must_use]
    pub fn secret_header(mut self, name: HeaderName) -> Self {
        self.secret_header = name;
        self
    }

    /// Sets the secret value.
    #[must_use]
    pub fn secret_header_value(self, secret: &str) -> Self {
        Self {
            grants: self.grants,
            ..Self::new(self.secret_header, secret)
        }
    }

    /// Sets what whoever has the secret may do. Default: everything.
    ///
    /// # Errors
    /// The first name among them that is none.
    pub fn rights(mut self, rights: &Rights) -> Result<Self, InvalidScope> {
        self.grants = rights.grants(None, None)?;
        Ok(self)
    }
}

impl Default for Header {
    /// The header `Seth-Authentication-Header` with the value `Seth-Value`: for trying out.
    fn default() -> Self {
        Self::try_from(&HeaderSettings::default()).expect("the default is the name of a header")
    }
}

impl TryFrom<&HeaderSettings> for Header {
    type Error = Problem;

    fn try_from(settings: &HeaderSettings) -> Result<Self, Problem> {
        let secret = settings.secret_header_value.reveal();
        let policy = Self::new(settings.name()?, secret);
        let wrong = |error: InvalidScope| Problem::new("rights", error.to_string());
        policy.rights(&settings.rights).map_err(wrong)
    }
}

#[async_trait]
impl AuthenticationPolicy for Header {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        let shown = match &credentials.token {
            Some(token) => token.as_bytes(),
            None => match credentials.headers.get(&self.secret_header) {
                Some(value) => value.as_bytes(),
                None => return Err(AuthenticationError::Missing),
            },
        };
        if self.secret_header_value.is(shown) {
            Ok(Identity {
                credential: Some(CredentialId::new(self.secret_header.as_str())),
                grants: self.grants.clone(),
                ..Identity::default()
            })
        } else {
            Err(AuthenticationError::Refused)
        }
    }

    fn weakness(&self) -> Option<String> {
        self.is_default.then(|| {
            "The secret header has its default value, which everybody knows: set a secret of your \
             own, or listen on 127.0.0.1."
                .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polywire_core::testkit;

    fn shown(name: &'static str, value: &'static str) -> Credentials {
        let mut credentials = Credentials::for_app("test");
        credentials.headers.insert(name, value.parse().unwrap());
        credentials
    }

    #[tokio::test]
    async fn keeps_the_laws() {
        let token = |token: &str| {
            let mut credentials = shown("x-key", "s3cr3t-v");
            credentials.token = Some(token.into());
            credentials
        };
        let accepted = [shown("x-key", "s3cr3t-v"), token("s3cr3t-v")];
        let refused = [
            Credentials::default(),
            shown("x-key", ""),
            shown("x-key", "S3cr3t-v"),
            shown("x-other", "s3cr3t-v"),
            token(""),
            token("no"),
        ];
        let make = || Header::new("X-Key".parse().unwrap(), "s3cr3t-v");
        testkit::authentication_laws(make, &accepted, &refused, &["s3cr3t-v"]).await;
        assert!(!format!("{:?}", make()).contains("s3cr3t-v"));
    }

    #[tokio::test]
    async fn the_default_is_that_of_seth_and_known_to_be_weak() {
        let policy = Header::default();
        let credentials = shown("seth-authentication-header", "Seth-Value");
        assert!(policy.authenticate(&credentials).await.is_ok());
        assert!(policy.weakness().is_some());
        assert!(policy.secret_header_value("else").weakness().is_none());
    }
}
