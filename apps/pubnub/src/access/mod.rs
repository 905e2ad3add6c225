//! Who asks, and what they may do.

mod cbor;
mod grant;
mod hmac;
mod revoked;
mod signature;
mod token;

pub(crate) use self::{
    grant::route,
    revoked::Revoked,
    token::{Resource, bits},
};

use std::{sync::Arc, time::SystemTime};

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use polywire_core::{AuthenticationError, ClientId, Identity, Origin, http::Request};

use self::{signature::Signed, token::Token};
use crate::{app::Shared, keys::KeySet, names::Wanted, reply, text::parameter};

/// What is known of tokens.
#[derive(Debug, Default)]
pub(crate) struct Access {
    revoked: Arc<Revoked>,
}

impl Access {
    /// Tokens that were taken back.
    pub(crate) fn revoked(&self) -> &Arc<Revoked> {
        &self.revoked
    }

    /// Refuses a token that does not count any more.
    fn check(&self, token: &Token) -> Result<(), reply::Refused> {
        if token.end <= SystemTime::now() {
            return Err(denied("Token is expired."));
        }
        match self.revoked.contains(token) {
            Some(false) => Ok(()),
            Some(true) => Err(denied("Token is revoked")),
            None => Err(reply::error(
                StatusCode::SERVICE_UNAVAILABLE,
                reply::ACCESS_MANAGER,
                "The token cannot be checked now; try again later.",
            )),
        }
    }
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) origin: Origin,
    rights: Rights,
}

/// What somebody may do with the channels of a key set.
#[derive(Debug)]
enum Rights {
    /// Nobody asks for tokens here.
    Open,
    /// It knows the secret key.
    Signed,
    Token(Arc<Token>),
    None,
}

impl Caller {
    /// The client, where it says who it is.
    pub(crate) fn client(&self) -> Option<&ClientId> {
        self.origin.client.as_ref()
    }

    fn is_signed(&self) -> bool {
        matches!(self.rights, Rights::Signed)
    }

    /// True when it may do everything.
    pub(crate) fn may_everything(&self) -> bool {
        matches!(self.rights, Rights::Open | Rights::Signed)
    }

    /// Refuses whoever shows neither a token nor a signature, where that is asked.
    pub(crate) fn check_known(&self) -> Result<(), reply::Refused> {
        match self.rights {
            Rights::None => Err(denied("Forbidden")),
            _ => Ok(()),
        }
    }

    /// Refuses what the caller has no right to.
    pub(crate) fn check(&self, resource: Resource<'_>, bit: u64) -> Result<(), reply::Refused> {
        let allowed = match &self.rights {
            Rights::Open | Rights::Signed => true,
            Rights::Token(token) => token.allows(resource, bit),
            Rights::None => false,
        };
        if allowed {
            return Ok(());
        }
        Err(match resource {
            Resource::Channel(name) => reply::forbidden("channels", name),
            Resource::Group(name) => reply::forbidden("channel-groups", name),
        })
    }

    /// Refuses to read a name of a poll.
    pub(crate) fn check_read(&self, wanted: &Wanted) -> Result<(), reply::Refused> {
        self.check(wanted.resource(), bits::READ)
    }

    /// Refuses whoever has a token that does not count any more.
    pub(crate) fn check_again(&self, access: &Access) -> Result<(), reply::Refused> {
        match &self.rights {
            Rights::Token(token) => access.check(token),
            _ => Ok(()),
        }
    }
}

fn denied(message: &str) -> reply::Refused {
    reply::error(StatusCode::FORBIDDEN, reply::ACCESS_MANAGER, message)
}

/// Finds out who asks, where the signature does not cover a body.
pub(crate) async fn admit(
    shared: &Shared,
    set: &KeySet,
    request: &Request,
    service: &str,
) -> Result<Caller, reply::Refused> {
    admit_with(shared, set, request, b"", service).await
}

/// Finds out who asks, with the body that the signature covers.
pub(crate) async fn admit_with(
    shared: &Shared,
    set: &KeySet,
    request: &Request,
    body: &[u8],
    service: &str,
) -> Result<Caller, reply::Refused> {
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
    if set.has_access_manager() {
        // Which tokens were taken back is known from then on.
        shared.streams().await;
    }
    let rights = rights(shared, set, request, body, client.as_ref())?;
    let identity = if shared.settings.authenticate && !matches!(rights, Rights::Signed) {
        // Boxed: few ask, and whoever does not should carry no room for it.
        Box::pin(ask_policy(shared, request)).await?.into()
    } else {
        Identity::anybody()
    };
    let mut origin = Origin::new("pubnub", identity).peer(request.peer);
    origin.client = client.or(origin.client);
    Ok(Caller { origin, rights })
}

fn rights(
    shared: &Shared,
    set: &KeySet,
    request: &Request,
    body: &[u8],
    client: Option<&ClientId>,
) -> Result<Rights, reply::Refused> {
    let value = |name| parameter(&request.query, name).flatten();
    if let (Some(secret), Some(signature)) = (set.secret_key(), value("signature")) {
        let signed = Signed {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            body,
        };
        let time = value("timestamp");
        let checked = signed.check(set, secret, &signature, time.as_deref(), SystemTime::now());
        return match checked {
            Ok(()) => Ok(Rights::Signed),
            Err(signature::BadSignature::Invalid) => Err(denied("Invalid Signature")),
            Err(signature::BadSignature::Time) => Err(denied("Invalid Timestamp")),
        };
    }
    let Some(secret) = set.secret_key().filter(|_| set.has_access_manager()) else {
        return Ok(Rights::Open);
    };
    let Some(token) = value("auth").and_then(|text| token::read(&text, secret)) else {
        return Ok(Rights::None);
    };
    shared.access.check(&token)?;
    if !token.is_for(client.map(ClientId::as_str)) {
        return Err(denied("Forbidden"));
    }
    Ok(Rights::Token(Arc::new(token)))
}

/// Shows the auth key where the policy looks for its secret.
async fn ask_policy(shared: &Shared, request: &Request) -> Result<Identity, reply::Refused> {
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
