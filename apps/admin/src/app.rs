//! The app: its addresses.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Method, StatusCode, header};
use polywire_core::{
    App, AuthenticationError, BackendError, Composition, FromSettings, Origin, Space,
    http::{AllowedOrigins, BodyError, Request, Response, request, request_under},
    settings::Problem,
    space::Action,
};
use serde::de::DeserializeOwned;
use warp::{Filter, filters::BoxedFilter};

use crate::{
    call::{ConnectionCall, RevocationCall},
    health, reply,
    settings::AdminSettings,
};

const NAME: &str = "admin";
const ADDRESS: &str = "/admin/v1/";
const DRAIN: &str = "/admin/drain";

/// Bytes of a call.
const BODY_BYTES_MAX: usize = 16 << 10;

/// The API of operators.
///
/// All calls are `POST` with a JSON object and need the right to manage everything:
/// - `/admin/v1/revocations` with one of `client`, `credential` and `issued_before` takes rights back, and with `lift` gives
///   them back,
/// - `/admin/v1/disconnect` with `client` or `connection` sends away, with a `code` and a `reason`,
/// - `/admin/drain`, without a body, sends the clients of this node away one after the other and stops it, as SIGTERM does,
/// - `/admin/v1/subscribe` and `/admin/v1/unsubscribe` with a `channel` put onto it and take off it.
///
/// `GET /health/live` and `GET /health/ready` need no right.
#[derive(Debug, Clone)]
pub struct AdminApi {
    origins: AllowedOrigins,
}

impl Default for AdminApi {
    fn default() -> Self {
        Self {
            origins: AllowedOrigins::near(),
        }
    }
}

impl FromSettings for AdminApi {
    type Settings = AdminSettings;

    fn from_settings(settings: &AdminSettings, _: &Composition) -> Result<Self, Problem> {
        let list = settings.allowed_origins.as_deref();
        Ok(Self {
            origins: AllowedOrigins::near().or_listed(list),
        })
    }
}

#[async_trait]
impl App for AdminApi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn routes(&self, space: &Arc<Space>) -> BoxedFilter<(Response,)> {
        let (space, origins) = (space.clone(), Arc::new(self.origins.clone()));
        let asked = space.clone();
        let health = request(health::is_health)
            .map(move |request: Request| health::answer(&asked, &request));
        request_under("/admin")
            .then(move |request: Request| answer(space.clone(), origins.clone(), request))
            .or(health)
            .unify()
            .boxed()
    }
}

async fn answer(space: Arc<Space>, origins: Arc<AllowedOrigins>, mut request: Request) -> Response {
    if let Err(foreign) = origins.check(NAME, &request, space.runtime()) {
        return reply::error(StatusCode::FORBIDDEN, &foreign.to_string());
    }
    let (Ok(response) | Err(response)) = call(&space, &mut request).await;
    response
}

async fn call(space: &Arc<Space>, request: &mut Request) -> Result<Response, Response> {
    let path = std::mem::take(&mut request.path);
    let name = path.strip_prefix(ADDRESS).unwrap_or_default();
    let known = ["revocations", "disconnect", "subscribe", "unsubscribe"];
    let is_drain = &*path == DRAIN;
    if !is_drain && !known.contains(&name) {
        let message = format!(
            "There is nothing here; calls are {DRAIN}, {ADDRESS}{}.",
            known.join(", ")
        );
        return Err(reply::error(StatusCode::NOT_FOUND, &message));
    }
    if request.method != Method::POST {
        let mut refused = reply::error(StatusCode::METHOD_NOT_ALLOWED, "Use POST.");
        let headers = refused.headers_mut();
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Err(refused);
    }
    let origin = authenticate(space, request).await?;
    space
        .authorize(&origin, Action::Administer)
        .map_err(|refusal| reply::refused(&refusal))?;
    if is_drain {
        space.audit_call(&origin, "drain", "");
        space.runtime().drain().request();
        return Ok(reply::done());
    }
    // No page of another site can send this without asking first, which is answered no.
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = "The Content-Type of a call is application/json.";
        return Err(reply::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    if name == "revocations" {
        let call: RevocationCall = read(space, request).await?;
        let done = revoke(space, &call).await?;
        let name = if call.lift { "lift" } else { "revoke" };
        space.audit_call(&origin, name, &call.of());
        Ok(done)
    } else {
        let call: ConnectionCall = read(space, request).await?;
        let done = connections(space, name, &call).await?;
        space.audit_call(&origin, name, call.of());
        Ok(done)
    }
}

async fn revoke(space: &Space, call: &RevocationCall) -> Result<Response, Response> {
    let revocation = call.revocation().map_err(bad)?;
    let done = if call.lift {
        space.lift_revocation(&revocation).await
    } else {
        space.revoke(&revocation).await
    };
    done.map_err(|refusal| reply::refused(&refusal))?;
    Ok(reply::done())
}

async fn connections(
    space: &Space,
    name: &str,
    call: &ConnectionCall,
) -> Result<Response, Response> {
    let whom = call.whom().map_err(bad)?;
    let done = match name {
        "subscribe" => space.subscribe(&whom, &call.channel().map_err(bad)?).await,
        "unsubscribe" => {
            space
                .unsubscribe(&whom, &call.channel().map_err(bad)?)
                .await
        }
        _ => {
            let (code, reason) = call.close().map_err(bad)?;
            space.disconnect(&whom, code, reason).await
        }
    };
    done.map_err(|error: BackendError| {
        let message = format!("It was done on this node only: {error}.");
        reply::error(StatusCode::SERVICE_UNAVAILABLE, &message)
    })?;
    Ok(reply::done())
}

fn bad(message: &str) -> Response {
    reply::error(StatusCode::BAD_REQUEST, message)
}

async fn read<T: DeserializeOwned>(space: &Space, request: &mut Request) -> Result<T, Response> {
    let limit = space.limits().body_timeout();
    let body = request.body.read(BODY_BYTES_MAX, limit).await;
    let body = body.map_err(|error| match error {
        BodyError::TooLong => reply::error(StatusCode::PAYLOAD_TOO_LARGE, "The call is too long."),
        BodyError::NoRoom => reply::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "The server has no room for the call now; try again later.",
        ),
        _ => bad("The call did not arrive whole, or in time."),
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| bad(&format!("The call is not what it should be: {error}.")))
}

async fn authenticate(space: &Space, request: &Request) -> Result<Origin, Response> {
    match space.authenticate(&request.credentials(NAME)).await {
        Ok(identity) => Ok(Origin::new(NAME, identity).peer(request.peer)),
        Err(AuthenticationError::Refused) => Err(reply::error(
            StatusCode::UNAUTHORIZED,
            "The credentials are missing or wrong.",
        )),
        Err(cause @ AuthenticationError::Throttled(_)) => Err(reply::error(
            StatusCode::TOO_MANY_REQUESTS,
            &format!("{cause}."),
        )),
        Err(cause) => {
            let cause = &cause as &dyn std::error::Error;
            tracing::warn!(error = cause, "could not authenticate");
            Err(reply::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "The credentials cannot be checked now; try again later.",
            ))
        }
    }
}
