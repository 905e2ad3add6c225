//! Routes of the service API.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use polywire_core::http::{Request, Response, status};

use super::{
    call::Call,
    error::{bad, error},
    query::Query,
    send, targets, token,
};
use crate::{
    bearer::bearer,
    broker::{Broker, THROTTLED},
};

const HUBS: &str = "/api/hubs/";
const HEALTH: &str = "/api/health";

pub(crate) fn is_rest(path: &str) -> bool {
    path.starts_with(HUBS) || path == HEALTH
}

/// Answers a request of a service SDK.
pub(crate) async fn answer(broker: &Arc<Broker>, request: Request) -> Response {
    match handle(broker, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn handle(broker: &Arc<Broker>, mut request: Request) -> Result<Response, Response> {
    if request.is_head {
        // Here it asks something of its own.
        request.method = Method::HEAD;
    }
    if request.path == HEALTH {
        return Ok(match request.method {
            Method::HEAD | Method::GET => status(StatusCode::OK),
            _ => status(StatusCode::METHOD_NOT_ALLOWED),
        });
    }
    // Read before anything is refused: a connection whose request was not read to its end cannot be used again.
    let limits = broker.space.limits();
    let patience = Duration::from_secs(limits.body_secs);
    let body = request.body.read(limits.message_bytes_max, patience).await;
    let token = bearer(&request);
    let claims = token.as_ref();
    let claims = claims.and_then(|token| broker.keys.verify(token, &request.path));
    if claims.is_none() {
        if broker.count_wrong(&request, token.as_deref()).is_err() {
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Err(error(status, "TooManyRequests", THROTTLED, None));
        }
        let message =
            "The token is missing, expired, not valid yet, wrongly signed, or for another request.";
        return Err(error(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            message,
            None,
        ));
    }
    let rest = request
        .path
        .strip_prefix(HUBS)
        .unwrap_or_default()
        .to_owned();
    // Segments are told apart before they are decoded: an id may hold a slash.
    let mut segments = rest.trim_end_matches('/').split('/');
    let decode = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8();
        decoded
            .map(|text| text.into_owned())
            .map_err(|_| bad("The path is not UTF-8."))
    };
    let hub = decode(segments.next().unwrap_or_default())?;
    let hub = broker
        .hub(&hub)
        .ok_or_else(|| bad("The name of a hub begins with a letter."))?;
    let raw: Vec<_> = segments.map(str::to_owned).collect();
    let mut path = Vec::with_capacity(raw.len());
    for segment in &raw {
        path.push(decode(segment)?);
    }
    let call = Call {
        broker,
        hub,
        query: Query::parse(&request.query),
        body,
        request,
    };
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    route(call, &path).await
}

async fn route(call: Call<'_>, path: &[&str]) -> Result<Response, Response> {
    use crate::recipients::Recipients::{All, Connection, Group, User};
    let method = call.request.method.clone();
    let name = |text: &&str| (*text).to_owned();
    match (method.as_str(), path) {
        ("POST", [":send"]) => send::send(call, All).await,
        ("POST", ["groups", g, ":send"]) => send::send(call, Group(name(g))).await,
        ("POST", ["users", u, ":send"]) => send::send(call, User(name(u))).await,
        ("POST", ["connections", c, ":send"]) => send::send(call, Connection(name(c))).await,
        ("POST", [":closeConnections"]) => targets::close(call, All).await,
        ("POST", ["groups", g, ":closeConnections"]) => targets::close(call, Group(name(g))).await,
        ("POST", ["users", u, ":closeConnections"]) => targets::close(call, User(name(u))).await,
        ("DELETE", ["connections", c]) => targets::close(call, Connection(name(c))).await,
        ("HEAD", ["connections", c]) => targets::exists(&call, Connection(name(c))).await,
        ("HEAD", ["groups", g]) => targets::exists(&call, Group(name(g))).await,
        ("HEAD", ["users", u]) => targets::exists(&call, User(name(u))).await,
        ("GET", ["groups", g, "connections"]) => targets::list(&call, g).await,
        ("PUT", ["groups", g, "connections", c]) => targets::add_connection(&call, g, c).await,
        ("PUT", ["users", u, "groups", g]) => targets::add_user(&call, g, u).await,
        ("DELETE", ["groups", g, "connections", c]) => {
            targets::leave(&call, Connection(name(c)), vec![name(g)]).await
        }
        ("DELETE", ["connections", c, "groups"]) => {
            targets::leave(&call, Connection(name(c)), Vec::new()).await
        }
        ("DELETE", ["users", u, "groups", g]) => {
            targets::leave(&call, User(name(u)), vec![name(g)]).await
        }
        ("DELETE", ["users", u, "groups"]) => {
            targets::leave(&call, User(name(u)), Vec::new()).await
        }
        ("POST", [":addToGroups"]) => targets::change_groups(call, true).await,
        ("POST", [":removeFromGroups"]) => targets::change_groups(call, false).await,
        ("PUT" | "DELETE" | "HEAD", ["permissions", p, "connections", c]) => {
            targets::permission(&call, p, c).await
        }
        ("POST", [":generateToken"]) => token::generate(&call),
        _ => {
            let message = "There is no such operation.";
            Err(error(StatusCode::NOT_FOUND, "NotFound", message, None))
        }
    }
}
