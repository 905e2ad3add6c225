//! Errors in the form of the service.

use http::{HeaderValue, StatusCode};
use polywire_core::{
    Unanswered,
    http::{Response, json},
};
use serde_json::json;

/// An error as service SDKs read it.
pub(super) fn error(
    status: StatusCode,
    code: &'static str,
    message: &str,
    target: Option<&str>,
) -> Response {
    let body = json!({
        "code": code, "message": message, "target": target, "details": null, "innererror": null,
    });
    let mut response = json(status, body.to_string());
    let headers = response.headers_mut();
    headers.insert("x-ms-error-code", HeaderValue::from_static(code));
    response
}

pub(super) fn bad(message: &str) -> Response {
    let code = "Error.BadRequest";
    error(StatusCode::BAD_REQUEST, code, message, Some("Request"))
}

/// Other nodes did not say what they know. SDKs ask again.
pub(super) fn unanswered(why: Unanswered) -> Response {
    let message = match why {
        Unanswered::Late => "Another node did not answer in time. Try again.",
        _ => "The other nodes cannot be reached, and only this one was asked. Try again.",
    };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    error(status, "ServiceUnavailable", message, None)
}

/// The configuration keeps the app from it.
pub(super) fn forbidden(message: &str) -> Response {
    error(
        StatusCode::FORBIDDEN,
        "Error.Forbidden",
        message,
        Some("Group"),
    )
}

pub(super) fn no_user(id: &str) -> Response {
    let message = format!("User `{id}` has no connection.");
    let code = "Error.User.NotExisted";
    error(StatusCode::NOT_FOUND, code, &message, Some("User"))
}

pub(super) fn no_connection(id: &str) -> Response {
    let message = format!("Connection `{id}` is not found.");
    let code = "Error.Connection.NotExisted";
    error(StatusCode::NOT_FOUND, code, &message, Some("Connection"))
}
