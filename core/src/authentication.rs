//! The contract of an authentication policy.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, Method, header::AUTHORIZATION};

use crate::{identity::Identity, throttle::Throttled};

/// Finds out who somebody is and what they may do.
///
/// A policy is asked once per HTTP request or connection, never per message: what it grants is kept
/// on the connection as an [`Identity`].
///
/// # Laws
/// - It answers from what it is given; it does not read the request's body.
/// - The same credentials get the same answer until the policy's own configuration changes.
/// - It compares secrets in constant time and never logs them.
/// - It may wait for other services, but bounds that wait itself. The future may be dropped at any await.
///
/// [`testkit::authentication_laws`](crate::testkit) checks an implementation.
///
/// # Examples
/// ```
/// use polywire_core::{AuthenticationError, AuthenticationPolicy, Credentials, Identity};
///
/// /// Lets in whoever comes from this machine.
/// struct LoopbackOnly;
///
/// #[async_trait::async_trait]
/// impl AuthenticationPolicy for LoopbackOnly {
///     async fn authenticate(&self, who: &Credentials) -> Result<Identity, AuthenticationError> {
///         match who.peer {
///             Some(peer) if peer.ip().is_loopback() => Ok(Identity::unrestricted()),
///             _ => Err(AuthenticationError::Refused),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait AuthenticationPolicy: Send + Sync + 'static {
    /// Judges `credentials`.
    ///
    /// # Errors
    /// [`AuthenticationError::Missing`] where no credential is shown that the policy looks for,
    /// [`AuthenticationError::Refused`] for wrong ones, [`AuthenticationError::Unavailable`] when the policy cannot
    /// tell now.
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError>;

    /// What is unsafe about this policy on an address that others can reach, as a sentence that says
    /// what to do; such a composition is refused unless told otherwise.
    fn weakness(&self) -> Option<String> {
        None
    }
}

const _: fn(&dyn AuthenticationPolicy) = |_| ();

#[async_trait]
impl<P: AuthenticationPolicy + ?Sized> AuthenticationPolicy for Arc<P> {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        (**self).authenticate(credentials).await
    }

    fn weakness(&self) -> Option<String> {
        (**self).weakness()
    }
}

/// What somebody shows of themselves.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Credentials {
    /// The short name of the app that asks, such as `seth`.
    pub app: &'static str,
    /// The HTTP method, where they came by HTTP.
    pub method: Option<Method>,
    /// The path, percent-encoded as it came.
    pub path: String,
    /// The query string without `?`, percent-encoded as it came.
    pub query: String,
    /// HTTP headers.
    pub headers: HeaderMap,
    /// Where they come from.
    pub peer: Option<SocketAddr>,
    /// The user's name, where the protocol has one: that of MQTT. See [`basic`](Self::basic) for HTTP.
    pub user: Option<String>,
    /// The password or token, where the protocol has one place for it and that is all that is shown; policies look here
    /// first. Otherwise it is in query or headers.
    pub token: Option<String>,
}

/// Headers that differ from request to request of the same client.
const PASSING: [&str; 6] = [
    "content-length",
    "date",
    "sec-websocket-key",
    "traceparent",
    "tracestate",
    "x-request-id",
];

/// What credentials show, to be hashed: equal for whoever shows the same again.
pub(crate) struct Shown<'c>(pub(crate) &'c Credentials);

impl Hash for Shown<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let credentials = self.0;
        credentials.app.hash(state);
        if let Some(token) = &credentials.token {
            return (&credentials.user, token).hash(state);
        }
        credentials.query.hash(state);
        for (name, value) in &credentials.headers {
            if !PASSING.contains(&name.as_str()) {
                name.hash(state);
                value.hash(state);
            }
        }
    }
}

impl Credentials {
    /// Credentials shown to the app of this name.
    pub fn for_app(app: &'static str) -> Self {
        Self {
            app,
            ..Self::default()
        }
    }

    /// True when there is something in a place that is for credentials only.
    pub(crate) fn shows_something(&self) -> bool {
        self.token.is_some() || self.headers.contains_key(http::header::AUTHORIZATION)
    }

    /// The first value of a query parameter, decoded; `+` stands for a space.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let mut pairs = self
            .query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(key, _)| decode(key).as_deref() == Some(name))?;
        decode(value)
    }

    /// The token of `Authorization: Bearer …`.
    pub fn bearer(&self) -> Option<&str> {
        self.authorization("bearer")
    }

    /// The user's name and the password of `Authorization: Basic …` (RFC 7617), as they stand with a colon between them.
    pub fn basic(&self) -> Option<String> {
        let encoded = self.authorization("basic")?;
        let decoded = BASE64_STANDARD.decode(encoded).ok()?;
        String::from_utf8(decoded).ok()
    }

    /// What `Authorization` shows by this scheme, whose name may be in upper or lower case.
    fn authorization(&self, scheme: &str) -> Option<&str> {
        let value = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (name, shown) = value.split_once(' ')?;
        let shown = shown.trim();
        (name.eq_ignore_ascii_case(scheme) && !shown.is_empty()).then_some(shown)
    }
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        .map(|text| text.into_owned())
}

impl fmt::Debug for Credentials {
    /// Leaves out whatever may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("app", &self.app)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// No credential is shown that this policy looks for. Whoever shows none is anonymous, where that is allowed.
    #[error("the credentials are missing")]
    Missing,
    /// The credentials are wrong.
    #[error("the credentials are wrong")]
    Refused,
    /// They were not judged: too many wrong ones came from this address. Answered as 429 by HTTP.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The policy cannot tell now.
    #[error("the authentication policy is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;

    #[test]
    fn the_same_shown_again_is_equal() {
        let hash = |change: fn(&mut Credentials)| {
            let mut credentials = Credentials {
                query: "api_key=a".into(),
                ..Credentials::for_app("test")
            };
            credentials.headers.insert("x-key", "b".parse().unwrap());
            change(&mut credentials);
            BuildHasherDefault::<DefaultHasher>::default().hash_one(Shown(&credentials))
        };
        let first = hash(|_| {});
        let same = hash(|other| {
            other.headers.insert("date", "now".parse().unwrap());
            other.path = "/elsewhere".into();
        });
        assert_eq!(first, same);
        for other in [
            hash(|other| other.query = "api_key=b".into()),
            hash(|other| drop(other.headers.insert("x-key", "c".parse().unwrap()))),
            hash(|other| other.app = "other"),
        ] {
            assert_ne!(first, other);
        }
        let token = hash(|other| other.token = Some("t".into()));
        let with_more = hash(|other| {
            other.token = Some("t".into());
            other.query = "cursor=17".into();
        });
        assert_eq!(token, with_more);
    }

    #[test]
    fn the_first_of_repeated_query_values_counts() {
        let credentials = Credentials {
            query: "a=1&b=x%20y+z&a=2&c&e=%FF&e=2".into(),
            ..Credentials::for_app("test")
        };
        assert_eq!(credentials.query_value("a").as_deref(), Some("1"));
        assert_eq!(credentials.query_value("b").as_deref(), Some("x y z"));
        assert_eq!(credentials.query_value("c").as_deref(), Some(""));
        assert_eq!(credentials.query_value("d"), None);
        // The second does not step in for a first that is not a text.
        assert_eq!(credentials.query_value("e"), None);
    }

    #[test]
    fn authorization_is_of_one_scheme() {
        let with = |value: &str| {
            let mut credentials = Credentials::for_app("test");
            let value = value.parse().unwrap();
            credentials.headers.insert(AUTHORIZATION, value);
            credentials
        };
        assert_eq!(with("Bearer a.b.c").bearer(), Some("a.b.c"));
        assert_eq!(with("bearer  a ").bearer(), Some("a"));
        assert_eq!(with("Bearer a").basic(), None);
        // "ann:p:w", as in RFC 7617 a password may have colons.
        assert_eq!(
            with("Basic YW5uOnA6dw==").basic().as_deref(),
            Some("ann:p:w")
        );
        for other in ["Bearer", "Bearer ", "Basic %", "Basic /w==", "Digest a"] {
            assert_eq!(with(other).bearer(), None, "{other}");
            assert_eq!(with(other).basic(), None, "{other}");
        }
    }
}
