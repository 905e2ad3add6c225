//! Authentication: the policy is asked, for the API and for connections.

use std::sync::Arc;

use http::StatusCode;
use polywire_core::{AuthenticationError, Credentials, Identity, Space};

/// Status and message for somebody who was not let in.
pub(crate) type NotLetIn = (StatusCode, &'static str);

/// How somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Whoever shows no credential is anonymous, as in Seth-Pusher.
    Open,
    /// It takes a credential.
    Closed,
}

pub(crate) async fn authenticate(
    space: &Space,
    credentials: &Credentials,
    door: Door,
) -> Result<Arc<Identity>, NotLetIn> {
    let judged = match door {
        Door::Open => space.authenticate_at_open_door(credentials).await,
        Door::Closed => space.authenticate(credentials).await,
    };
    match judged {
        Ok(identity) => Ok(identity),
        Err(AuthenticationError::Refused) => Err((
            StatusCode::UNAUTHORIZED,
            "Invalid Auth credentials provided",
        )),
        Err(AuthenticationError::Throttled(_)) => Err((
            StatusCode::TOO_MANY_REQUESTS,
            "Too many wrong credentials came from this address; try again in some seconds.",
        )),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "could not authenticate"
            );
            Err((
                StatusCode::SERVICE_UNAVAILABLE,
                "The credentials cannot be checked now; try again later.",
            ))
        }
    }
}
