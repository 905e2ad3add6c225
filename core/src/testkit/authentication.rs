//! The laws of an authentication policy.

use std::{future::poll_fn, pin::pin, task::Poll};

use super::within;
use crate::{AuthenticationError, AuthenticationPolicy, Credentials};

/// Checks the laws of [`AuthenticationPolicy`]: the same credentials get the same answer, from the same
/// policy and from another one made alike; the answer comes in bounded time; a dropped question leaves
/// nothing behind; errors and warnings show none of `secrets`.
///
/// # Panics
/// When a law is broken, or when the policy does not let in all of `accepted` and none of `refused`.
pub async fn authentication_laws<P: AuthenticationPolicy>(
    make: impl Fn() -> P,
    accepted: &[Credentials],
    refused: &[Credentials],
    secrets: &[&str],
) {
    let (policy, twin) = (make(), make());
    for _ in 0..2 {
        for credentials in accepted {
            drop_half_way(&policy, credentials).await;
            let ask = async |policy: &P| {
                within("authenticate", policy.authenticate(credentials))
                    .await
                    .unwrap_or_else(|error| panic!("{credentials:?} must be let in: {error}"))
            };
            let identity = ask(&policy).await;
            assert_eq!(
                identity,
                ask(&policy).await,
                "the same credentials must get the same answer again"
            );
            assert_eq!(
                identity,
                ask(&twin).await,
                "the same credentials must get the same answer from a policy made alike"
            );
        }
        for credentials in refused {
            drop_half_way(&policy, credentials).await;
            for policy in [&policy, &twin] {
                match within("authenticate", policy.authenticate(credentials)).await {
                    Err(error @ (AuthenticationError::Refused | AuthenticationError::Missing)) => {
                        keeps_secrets(&error, secrets);
                    }
                    Err(error) => panic!("{credentials:?} must be refused, not {error:?}"),
                    Ok(_) => panic!("{credentials:?} must not be let in"),
                }
            }
        }
    }
    assert_eq!(
        policy.weakness(),
        twin.weakness(),
        "policies made alike are alike weak"
    );
    if let Some(weakness) = policy.weakness() {
        assert!(
            weakness.ends_with('.') && weakness.contains(' '),
            "a weakness is told in a sentence: {weakness:?}"
        );
        for secret in secrets {
            assert!(!weakness.contains(secret), "a weakness shows a secret");
        }
    }
}

fn keeps_secrets(error: &AuthenticationError, secrets: &[&str]) {
    for secret in secrets {
        assert!(
            !error.to_string().contains(secret) && !format!("{error:?}").contains(secret),
            "an error shows a secret"
        );
    }
}

/// Begins to ask and gives up.
async fn drop_half_way<P: AuthenticationPolicy>(policy: &P, credentials: &Credentials) {
    let mut question = pin!(policy.authenticate(credentials));
    poll_fn(|cx| {
        let _ = question.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}
