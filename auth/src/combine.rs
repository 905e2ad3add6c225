//! Policies made of two others.

use async_trait::async_trait;
use polywire_core::{AuthenticationError, AuthenticationPolicy, Credentials, Identity};

use crate::intersection::intersection;

/// Ways to combine policies; every policy has them.
pub trait AuthenticationPolicyExt: AuthenticationPolicy + Sized {
    /// Lets in whom this policy or `other` lets in. See [`Or`].
    fn or<P: AuthenticationPolicy>(self, other: P) -> Or<Self, P> {
        Or {
            first: self,
            second: other,
        }
    }

    /// Lets in whom both this policy and `other` let in. See [`And`].
    fn and<P: AuthenticationPolicy>(self, other: P) -> And<Self, P> {
        And {
            first: self,
            second: other,
        }
    }
}

impl<P: AuthenticationPolicy> AuthenticationPolicyExt for P {}

/// One of two policies is enough.
///
/// The identity is that of the first policy that lets somebody in; the second is asked only when the first
/// does not. Where neither lets in and one of them could not tell, the answer is
/// [`Unavailable`](AuthenticationError::Unavailable), never a grant. It is as weak as the weaker of both.
#[derive(Debug, Clone)]
pub struct Or<A, B> {
    first: A,
    second: B,
}

/// Both of two policies are needed.
///
/// The identity names the client of the first policy, or of the second where the first names none, and has
/// the rights that both give: rights, channels and ends are cut with each other. The second policy is
/// asked only when the first lets somebody in. It is weak only when both are.
#[derive(Debug, Clone)]
pub struct And<A, B> {
    first: A,
    second: B,
}

#[async_trait]
impl<A: AuthenticationPolicy, B: AuthenticationPolicy> AuthenticationPolicy for Or<A, B> {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        let first = match self.first.authenticate(credentials).await {
            Ok(identity) => return Ok(identity),
            Err(error) => error,
        };
        let second = match self.second.authenticate(credentials).await {
            Ok(identity) => return Ok(identity),
            Err(error) => error,
        };
        Err(match (first, second) {
            (AuthenticationError::Missing, error) | (error, AuthenticationError::Missing) => error,
            (AuthenticationError::Refused, error) => error,
            // The first might have let them in, had it been able to tell.
            (error, _) => error,
        })
    }

    fn weakness(&self) -> Option<String> {
        match (self.first.weakness(), self.second.weakness()) {
            (Some(first), Some(second)) => Some(together(first, &second)),
            (first, second) => first.or(second),
        }
    }
}

#[async_trait]
impl<A: AuthenticationPolicy, B: AuthenticationPolicy> AuthenticationPolicy for And<A, B> {
    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Identity, AuthenticationError> {
        let first = self.first.authenticate(credentials).await?;
        let second = self.second.authenticate(credentials).await?;
        Ok(intersection(first, &second))
    }

    fn weakness(&self) -> Option<String> {
        Some(together(self.first.weakness()?, &self.second.weakness()?))
    }
}

fn together(first: String, second: &str) -> String {
    if first == second {
        first
    } else {
        format!("{first} {second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiKey, Echo, Header};
    use polywire_core::{ClientId, testkit};

    /// Answers what it was told to answer.
    struct Says(Result<Identity, bool>);

    #[async_trait]
    impl AuthenticationPolicy for Says {
        async fn authenticate(&self, _: &Credentials) -> Result<Identity, AuthenticationError> {
            self.0.clone().map_err(|unavailable| {
                if unavailable {
                    AuthenticationError::Unavailable("down".into())
                } else {
                    AuthenticationError::Refused
                }
            })
        }
    }

    const REFUSED: Says = Says(Err(false));
    const UNAVAILABLE: Says = Says(Err(true));

    fn named(name: &str) -> Says {
        Says(Ok(Identity {
            client: Some(ClientId::new(name).unwrap()),
            ..Identity::unrestricted()
        }))
    }

    async fn answer(policy: impl AuthenticationPolicy) -> String {
        match policy.authenticate(&Credentials::default()).await {
            Ok(identity) => identity
                .client
                .map_or("nobody".into(), |client| client.to_string()),
            Err(AuthenticationError::Refused) => "refused".into(),
            Err(AuthenticationError::Missing) => "missing".into(),
            Err(_) => "unavailable".into(),
        }
    }

    #[tokio::test]
    async fn or_takes_the_first_success_and_never_makes_one_of_an_outage() {
        assert_eq!(answer(named("a").or(named("b"))).await, "a");
        assert_eq!(answer(REFUSED.or(named("b"))).await, "b");
        assert_eq!(answer(UNAVAILABLE.or(named("b"))).await, "b");
        assert_eq!(answer(REFUSED.or(REFUSED)).await, "refused");
        assert_eq!(answer(UNAVAILABLE.or(REFUSED)).await, "unavailable");
        let key = || ApiKey::new("k", "s");
        assert_eq!(answer(key().or(Header::default())).await, "missing");
        assert_eq!(answer(key().or(REFUSED)).await, "refused");
        assert_eq!(answer(REFUSED.or(key())).await, "refused");
        assert_eq!(answer(key().or(UNAVAILABLE)).await, "unavailable");
        assert_eq!(answer(REFUSED.or(UNAVAILABLE)).await, "unavailable");
    }

    #[tokio::test]
    async fn and_needs_both() {
        assert_eq!(answer(named("a").and(named("b"))).await, "a");
        assert_eq!(answer(Echo.and(named("b"))).await, "b");
        assert_eq!(answer(named("a").and(REFUSED)).await, "refused");
        assert_eq!(answer(REFUSED.and(UNAVAILABLE)).await, "refused");
        assert_eq!(answer(named("a").and(UNAVAILABLE)).await, "unavailable");
    }

    #[test]
    fn or_is_as_weak_as_the_weaker_and_and_as_strong_as_the_stronger() {
        let strong = || ApiKey::new("k", "of my own");
        assert!(strong().or(Echo).weakness().is_some());
        assert!(strong().and(Echo).weakness().is_none());
        assert!(Echo.and(Header::default()).weakness().is_some());
        assert_eq!(Echo.or(Echo).weakness(), Echo.weakness());
    }

    #[tokio::test]
    async fn keep_the_laws() {
        let mut accepted = Credentials::for_app("test");
        accepted.query = "k=s3cr3t-v".into();
        let refused = [Credentials::default()];
        let key = || ApiKey::new("k", "s3cr3t-v");
        let secrets = ["s3cr3t-v"];
        let accepted = [accepted];
        testkit::authentication_laws(|| key().or(REFUSED), &accepted, &refused, &secrets).await;
        testkit::authentication_laws(|| key().and(Echo), &accepted, &refused, &secrets).await;
    }
}
