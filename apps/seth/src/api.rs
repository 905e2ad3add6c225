//! The HTTP API: back ends publish with it.

use std::sync::Arc;

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use polywire_core::{
    Channel, ClientId, Draft, Identity, InvalidJson, JsonText, Origin, Payload, Refusal,
    RefusalKind, Space, Target,
    http::{BodyError, Request, Response},
};

use crate::{
    authentication::{self, Door},
    encoder, reply,
};

/// What the path names.
#[derive(Clone, Copy)]
pub(crate) enum Addressee {
    Channel,
    User,
}

/// `POST /api/channels/<name>/` and `POST /api/users/<name>/`.
pub(crate) async fn publish(
    space: &Arc<Space>,
    mut request: Request,
    addressee: Addressee,
    name: &str,
) -> Response {
    if name.is_empty() {
        return reply::not_found();
    }
    if request.method != Method::POST {
        return reply::method_not_allowed("POST");
    }
    let identity = match authenticate(space, &request).await {
        Ok(identity) => identity,
        Err(response) => return response,
    };
    let target = match target(addressee, name) {
        Ok(target) => target,
        Err(message) => return reply::error(StatusCode::BAD_REQUEST, message),
    };
    let limits = space.limits();
    let body = match request
        .body
        .read(limits.message_bytes_max, limits.body_timeout())
        .await
    {
        Ok(body) => body,
        Err(error) => return refuse_body(error),
    };
    let message = match JsonText::parse(body) {
        Ok(message) => message,
        Err(InvalidJson::Syntax) => {
            return reply::error(StatusCode::BAD_REQUEST, "Request body is not valid JSON.");
        }
        Err(error) => {
            let message = format!("Request body is not taken: {error}.");
            return reply::error(StatusCode::BAD_REQUEST, &message);
        }
    };
    if !message.is_object() {
        return reply::error(
            StatusCode::BAD_REQUEST,
            "Request body must be a JSON object.",
        );
    }
    let origin = Origin::new("seth", identity).peer(request.peer);
    let payload = Payload::Json(message);
    let properties = encoder::named_by_back_end(&payload);
    let draft = Draft::new(target, payload).properties(properties);
    match space.publish(&origin, draft).await {
        Ok(_) => reply::ok(),
        Err(refusal) => refuse(&refusal),
    }
}

/// Asks the policy.
pub(crate) async fn authenticate(
    space: &Space,
    request: &Request,
) -> Result<Arc<Identity>, Response> {
    authentication::authenticate(space, &request.credentials("seth"), Door::Closed)
        .await
        .map_err(|(status, message)| reply::error(status, message))
}

/// The decoded name.
pub(crate) fn decode(name: &str) -> Result<String, &'static str> {
    percent_decode_str(name)
        .decode_utf8()
        .map(|name| name.into_owned())
        .map_err(|_| "The name in the address is not valid UTF-8.")
}

fn target(addressee: Addressee, name: &str) -> Result<Target, &'static str> {
    let name = decode(name)?;
    match addressee {
        Addressee::Channel => Channel::new(&name)
            .map(Target::Channel)
            .map_err(|_| "No channel."),
        Addressee::User => ClientId::new(&name)
            .map(Target::Client)
            .map_err(|_| "No user."),
    }
}

fn refuse_body(error: BodyError) -> Response {
    match error {
        BodyError::TooLong => reply::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Request body is longer than this server accepts.",
        ),
        BodyError::TimedOut => reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "Request body did not arrive in time.",
        ),
        BodyError::NoRoom => reply::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "The server has no room for the request body now; try again later.",
        ),
        _ => reply::error(
            StatusCode::BAD_REQUEST,
            "Request body did not arrive whole.",
        ),
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let status = match refusal.kind {
        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    reply::error(status, &refusal.message)
}
