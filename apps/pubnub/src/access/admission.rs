//! Admission of requests: from the keys, the signature or the token that they show to who asks.

use std::{sync::Arc, time::SystemTime};

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use polywire_core::{AuthenticationError, ClientId, Identity, Origin, Space, http::Request};

use super::{
    caller::{Caller, Rights, denied},
    revoked::Revoked,
    signature::{BadSignature, Signed},
    token::{self, Token},
};
use crate::{keys::KeySet, query::Query, reply, service, settings::Parameters};

/// Who may come in.
pub(crate) struct Access {
    space: Arc<Space>,
    /// Asks the authentication policy.
    authenticate: bool,
    /// The query parameter that shows the auth key to the policy.
    auth_name: String,
    revoked: Arc<Revoked>,
}

impl Access {
    pub(crate) fn new(space: &Arc<Space>, settings: &Parameters) -> Self {
        Self {
            space: space.clone(),
            authenticate: settings.authenticate,
            auth_name: settings.auth_name.clone(),
            revoked: Arc::default(),
        }
    }

    /// Tokens that were taken back.
    pub(crate) fn revoked(&self) -> &Arc<Revoked> {
        &self.revoked
    }

    /// Finds out who asks; `body` is what a signature covers of it.
    pub(crate) async fn admit(
        &self,
        set: &KeySet,
        request: &Request,
        query: &Query<'_>,
        body: &[u8],
        service: &str,
    ) -> Result<Caller, reply::Refused> {
        let Some(uuid) = query.get("uuid") else {
            return Err(reply::bad_request(service, "Invalid UUID"));
        };
        let client = uuid.and_then(|uuid| ClientId::new(&uuid).ok());
        let limit = self.space.limits().name_bytes_max;
        if client
            .as_ref()
            .is_some_and(|client| client.as_str().len() > limit)
        {
            return Err(reply::bad_request(service, "Invalid UUID"));
        }
        let rights = self.rights(set, request, query, body, client.as_ref())?;
        let identity = if self.authenticate && !matches!(rights, Rights::Signed) {
            // Boxed: few ask, and whoever does not should carry no room for it.
            Box::pin(self.ask_policy(request, query)).await?
        } else {
            Arc::new(Identity::unrestricted())
        };
        let mut origin = Origin::new("pubnub", identity).peer(request.peer);
        origin.client = client.or(origin.client);
        Ok(Caller { origin, rights })
    }

    fn rights(
        &self,
        set: &KeySet,
        request: &Request,
        query: &Query<'_>,
        body: &[u8],
        client: Option<&ClientId>,
    ) -> Result<Rights, reply::Refused> {
        let value = |name| query.get(name).flatten();
        if let (Some(secret), Some(signature)) = (set.secret_key(), value("signature")) {
            let signed = Signed {
                method: &request.method,
                path: &request.path,
                query,
                body,
            };
            let time = value("timestamp");
            let checked = signed.check(set, secret, &signature, time.as_deref(), SystemTime::now());
            return match checked {
                Ok(()) => Ok(Rights::Signed),
                Err(BadSignature::Invalid) => {
                    self.count_wrong(request, &signature)?;
                    Err(denied("Invalid Signature"))
                }
                Err(BadSignature::Time) => Err(denied("Invalid Timestamp")),
            };
        }
        let Some(secret) = set.secret_key().filter(|_| set.has_access_manager()) else {
            return Ok(Rights::Open);
        };
        let Some(shown) = value("auth") else {
            return Ok(Rights::None);
        };
        let Some(token) = token::read(&shown, secret) else {
            self.count_wrong(request, &shown)?;
            return Ok(Rights::None);
        };
        self.check_token(&token)?;
        if !token.is_for(client.map(ClientId::as_str)) {
            return Err(denied("Forbidden"));
        }
        Ok(Rights::Token(Arc::new(token)))
    }

    /// Counts a signature or a token that is none.
    fn count_wrong(&self, request: &Request, shown: &str) -> Result<(), reply::Refused> {
        let runtime = self.space.runtime();
        let counted = runtime.wrong_credential("pubnub", request.peer, &shown);
        counted.map_err(|_| throttled())
    }

    /// Refuses a token that does not count any more.
    fn check_token(&self, token: &Token) -> Result<(), reply::Refused> {
        if token.end <= SystemTime::now() {
            return Err(denied("Token is expired."));
        }
        match self.revoked.contains(token) {
            Some(false) => Ok(()),
            Some(true) => Err(denied("Token is revoked")),
            None => Err(reply::error(
                StatusCode::SERVICE_UNAVAILABLE,
                service::ACCESS_MANAGER,
                "The token cannot be checked now; try again later.",
            )),
        }
    }

    /// Refuses a caller whose token does not count any more.
    pub(crate) fn check_again(&self, caller: &Caller) -> Result<(), reply::Refused> {
        caller
            .token()
            .map_or(Ok(()), |token| self.check_token(token))
    }

    /// Shows the auth key where the policy looks for its secret.
    async fn ask_policy(
        &self,
        request: &Request,
        query: &Query<'_>,
    ) -> Result<Arc<Identity>, reply::Refused> {
        let mut credentials = request.credentials("pubnub");
        if let Some(Some(auth)) = query.get("auth") {
            let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
            let name = encode(&self.auth_name);
            credentials.query = format!("{name}={}&{}", encode(&auth), credentials.query);
            credentials.token = Some(auth.into());
        }
        match self.space.authenticate(&credentials).await {
            Ok(identity) => Ok(identity),
            Err(AuthenticationError::Refused) => Err(denied("Forbidden")),
            Err(AuthenticationError::Throttled(_)) => Err(throttled()),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not authenticate"
                );
                Err(reply::error(
                    StatusCode::SERVICE_UNAVAILABLE,
                    service::ACCESS_MANAGER,
                    "The credentials cannot be checked now; try again later.",
                ))
            }
        }
    }
}

fn throttled() -> reply::Refused {
    reply::error(
        StatusCode::TOO_MANY_REQUESTS,
        service::ACCESS_MANAGER,
        "Too many wrong signatures and tokens came from this address; try again in some seconds.",
    )
}
