//! The answers of the HTTP API, as Seth-Pusher writes them.

use http::{HeaderValue, StatusCode, header};
use polywire_core::http::{Response, json};

/// Clients compare this body byte for byte.
const OK: &str = "{\"status\": 200}\n";

/// The message was published.
pub(crate) fn ok() -> Response {
    json(StatusCode::OK, OK)
}

/// An error.
pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    json(status, error_body(status, message))
}

/// What an error says.
pub(crate) fn error_body(status: StatusCode, message: &str) -> String {
    // A string always has a JSON form.
    let message = serde_json::to_string(message).unwrap_or_default();
    format!(
        "{{\"status\": {}, \"message\": {message}}}\n",
        status.as_u16()
    )
}

/// Nothing is there.
pub(crate) fn not_found() -> Response {
    json(
        StatusCode::NOT_FOUND,
        "{\"status\":404,\"message\":\"Not Found\"}",
    )
}

/// Something is there, but not for this method.
pub(crate) fn method_not_allowed(allow: &'static str) -> Response {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}
