//! Who asks, and what they may do.

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use polywire_core::{
    AuthenticationError, ClientId, Identity, Origin,
    http::{Request, Response},
};

use crate::{app::Shared, reply, text::parameter};

/// Who asks.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) origin: Origin,
}

impl Caller {
    /// The client, where it says who it is.
    pub(crate) fn client(&self) -> Option<&ClientId> {
        self.origin.client.as_ref()
    }
}

/// Finds out who asks.
pub(crate) async fn admit(
    shared: &Shared,
    request: &Request,
    service: &str,
) -> Result<Caller, Response> {
    let Some(uuid) = parameter(&request.query, "uuid") else {
        return Err(reply::bad_request(service, "Invalid UUID"));
    };
    let client = uuid.and_then(|uuid| ClientId::new(&uuid).ok());
    let limit = shared.space.limits().name_bytes_max;
    if client
        .as_ref()
        .is_some_and(|client| client.as_str().len() > limit)
    {
        return Err(reply::bad_request(service, "Invalid UUID"));
    }
    let identity = if shared.settings.authenticate {
        ask_policy(shared, request).await?
    } else {
        Identity::unrestricted()
    };
    let mut origin = Origin::new("pubnub", identity).peer(request.peer);
    origin.client = client.or(origin.client);
    Ok(Caller { origin })
}

/// Shows the auth key where the policy looks for its secret.
async fn ask_policy(shared: &Shared, request: &Request) -> Result<Identity, Response> {
    let mut credentials = request.credentials("pubnub");
    if let Some(Some(auth)) = parameter(&request.query, "auth") {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let name = encode(&shared.settings.auth_name);
        credentials.query = format!("{name}={}&{}", encode(&auth), credentials.query);
    }
    match shared.space.authenticate(&credentials).await {
        Ok(identity) => Ok(identity),
        Err(AuthenticationError::Refused) => Err(reply::error(
            StatusCode::FORBIDDEN,
            reply::ACCESS_MANAGER,
            "Forbidden",
        )),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "could not authenticate"
            );
            Err(reply::error(
                StatusCode::SERVICE_UNAVAILABLE,
                reply::ACCESS_MANAGER,
                "The credentials cannot be checked now; try again later.",
            ))
        }
    }
}
