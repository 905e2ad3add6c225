//! Answers that say why not.

use http::StatusCode;
use polywire_core::http::{Response, json};

/// An answer that says in a sentence why not.
pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    json(status, error_line(message))
}

/// The same as the last line of an answer that had begun.
pub(crate) fn error_line(message: &str) -> String {
    serde_json::json!({ "error": message }).to_string()
}
