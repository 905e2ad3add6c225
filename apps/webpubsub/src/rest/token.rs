//! Tokens for clients.

use http::StatusCode;
use polywire_core::http::{Response, json};
use serde_json::json;

use super::{call::Call, error::bad};
use crate::keys::{Claims, Many, now};

/// Minutes for which a token is good, unless the request says otherwise; and at most.
const MINUTES: u64 = 60;
const MINUTES_MAX: u64 = 60 * 24 * 365;

/// `:generateToken`
pub(super) fn generate(call: &Call<'_>) -> Result<Response, Response> {
    let query = &call.query;
    let client_type = query.one("clientType").unwrap_or("Default");
    if !client_type.eq_ignore_ascii_case("default") {
        return Err(bad("Only clients of the type Default are served."));
    }
    let minutes = query.number("minutesToExpire", 1, MINUTES_MAX)?;
    let several = |name| Many::Several(query.all(name).map(str::to_owned).collect());
    let scheme = call.request.header("x-forwarded-proto").unwrap_or("http");
    let host = call.request.header("host").unwrap_or("127.0.0.1");
    let audience = format!("{scheme}://{host}/client/hubs/{}", call.hub.as_str());
    let claims = Claims {
        aud: Some(Many::One(audience)),
        iat: Some(now()),
        exp: now() + 60 * minutes.unwrap_or(MINUTES),
        sub: query.one("userId").map(str::to_owned),
        role: several("role"),
        group: several("group"),
        ..Claims::default()
    };
    let token = call.broker.keys.sign(&claims);
    let token = token.ok_or_else(|| bad("No token can be made of this."))?;
    Ok(json(StatusCode::OK, json!({ "token": token }).to_string()))
}
