//! Admission of requests: from the keys, the signature, the token or the auth key that they show to who asks.

use std::{sync::Arc, time::SystemTime};

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use polywire_core::{AuthenticationError, ClientId, Identity, Origin, Space, http::Request};

use super::{
    caller::{Caller, denied, not_identified},
    door::{Door, within},
    signature::{BadSignature, Signed},
    token::{self, Token},
};
use crate::{
    keys::{KeySet, KeySets},
    query::Query,
    reply, service,
    settings::Parameters,
};

/// Who may come in.
pub(crate) struct Access {
    space: Arc<Space>,
    /// Asks the authentication policy.
    authenticate: bool,
    /// The query parameter that shows the auth key to the policy.
    auth_name: String,
    /// In the order of the key sets.
    doors: Vec<Door>,
}

/// What a request shows of who asks.
enum Shown {
    /// Nothing, at an open door.
    Nothing,
    /// Nothing that counts, at a closed one.
    Nobody,
    Signature,
    Token(Box<Token>),
    /// Something for the policy to judge.
    Other,
}

impl Access {
    pub(crate) fn new(space: &Arc<Space>, keys: &KeySets, settings: &Parameters) -> Self {
        let doors = keys.all().iter().map(|set| Door::of(set, space));
        Self {
            space: space.clone(),
            authenticate: settings.authenticate,
            auth_name: settings.auth_name.clone(),
            doors: doors.collect(),
        }
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
        let claimed = uuid.and_then(|uuid| ClientId::new(&uuid).ok());
        let shown = self.shown(set, request, query, body)?;
        let has_token = matches!(shown, Shown::Token(_));
        let door = &self.doors[set.index()];
        let identity = match shown {
            Shown::Nothing => door.anonymous.clone(),
            Shown::Nobody => door.nobody.clone(),
            Shown::Signature => door.signed.clone(),
            Shown::Token(token) => Arc::new(token.identity(set.domain())),
            // Boxed: few ask, and whoever does not should carry no room for it.
            Shown::Other => Box::pin(self.ask_policy(set, request, query)).await?,
        };
        let mut origin = Origin::new("pubnub", identity).peer(request.peer);
        if let Some(claimed) = claimed {
            let client = self.space.identify(&origin, claimed);
            let client = client.map_err(|refusal| not_identified(&refusal, service))?;
            origin.client = Some(client);
        }
        Ok(Caller { origin, has_token })
    }

    fn shown(
        &self,
        set: &KeySet,
        request: &Request,
        query: &Query<'_>,
        body: &[u8],
    ) -> Result<Shown, reply::Refused> {
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
                Ok(()) => Ok(Shown::Signature),
                Err(BadSignature::Invalid) => {
                    self.count_wrong(request, &signature)?;
                    Err(denied("Invalid Signature"))
                }
                Err(BadSignature::Time) => Err(denied("Invalid Timestamp")),
            };
        }
        let auth = value("auth").filter(|auth| !auth.is_empty());
        if !set.has_access_manager() {
            return Ok(match auth {
                None if !self.authenticate => Shown::Nothing,
                _ => Shown::Other,
            });
        }
        if let (Some(secret), Some(auth)) = (set.secret_key(), &auth) {
            if let Some(token) = token::read(auth, secret) {
                self.check_token(&token)?;
                return Ok(Shown::Token(Box::new(token)));
            }
            if !self.authenticate {
                self.count_wrong(request, auth)?;
            }
        }
        Ok(if self.authenticate {
            Shown::Other
        } else {
            Shown::Nobody
        })
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
        if self.space.is_revoked(&token.credential) {
            return Err(denied("Token is revoked"));
        }
        Ok(())
    }

    /// Shows the auth key where the policy looks for its secret.
    async fn ask_policy(
        &self,
        set: &KeySet,
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
        let judged = if self.authenticate {
            self.space.authenticate(&credentials).await
        } else {
            self.space.authenticate_at_open_door(&credentials).await
        };
        match judged {
            Ok(identity) => Ok(within(identity, set.domain())),
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
