//! Health: what balancers and supervisors ask without a credential.

use http::{HeaderValue, Method, StatusCode, header};
use polywire_core::{
    BackendStatus, Space,
    http::{Request, Response, json},
};

const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";

/// Why a server that stops takes nobody.
const STOPPING: &str = "The server stops; connect to another one.";

const RECONNECTING: &str = "The backend cannot be reached.";

pub(crate) fn is_health(path: &str) -> bool {
    path == LIVE || path == READY
}

/// Says whether the process runs, or whether clients should come to it.
pub(crate) fn answer(space: &Space, request: &Request) -> Response {
    if request.method != Method::GET {
        let mut refused = reply(StatusCode::METHOD_NOT_ALLOWED, "wrong", Some("Use GET."));
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    if &*request.path == LIVE {
        return reply(StatusCode::OK, "live", None);
    }
    if space.runtime().drain().is_announced() {
        return reply(StatusCode::SERVICE_UNAVAILABLE, "stopping", Some(STOPPING));
    }
    let unavailable = |why: &str| reply(StatusCode::SERVICE_UNAVAILABLE, "unavailable", Some(why));
    match space.backend_status() {
        BackendStatus::Ready => reply(StatusCode::OK, "ready", None),
        BackendStatus::Unusable(why) => unavailable(why),
        _ => unavailable(RECONNECTING),
    }
}

fn reply(status: StatusCode, word: &str, reason: Option<&str>) -> Response {
    let mut body = serde_json::json!({ "status": word });
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    let mut answer = json(status, body.to_string());
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
