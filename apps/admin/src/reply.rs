//! Answers: an empty object, or an error in a sentence.

use http::StatusCode;
use polywire_core::{
    Refusal, RefusalKind,
    http::{Response, json},
};

pub(crate) fn done() -> Response {
    json(StatusCode::OK, "{}".to_owned())
}

pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    json(status, serde_json::json!({ "error": message }).to_string())
}

pub(crate) fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.kind {
        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusalKind::LimitExceeded => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::BAD_REQUEST,
    };
    error(status, &refusal.message)
}
