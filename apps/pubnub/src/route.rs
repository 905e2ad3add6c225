//! From addresses to what they do.

use std::sync::Arc;

use http::{Method, StatusCode};
use polywire_core::{
    Space,
    http::{Request, Response},
};

use crate::{
    access::{self, Caller},
    app::Shared,
    groups, history,
    keys::KeySet,
    presence, publish, reply,
    subscribe::{self, subscribe},
};

/// What the addresses of the protocol begin with.
const PREFIXES: [&str; 16] = [
    "/publish/",
    "/signal/",
    "/subscribe/",
    "/time/",
    "/v1/channel-registration/",
    "/v1/files/",
    "/v1/message-actions/",
    "/v1/push/",
    "/v2/auth/",
    "/v2/history/",
    "/v2/objects/",
    "/v2/presence/",
    "/v2/push/",
    "/v2/subscribe/",
    "/v3/history",
    "/v3/pam/",
];

pub(crate) fn is_ours(path: &str) -> bool {
    path.starts_with('/') && PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// A request whose key set is known and whose sender was let in.
pub(crate) struct Call<'c> {
    pub(crate) shared: &'c Arc<Shared>,
    pub(crate) set: &'c KeySet,
    pub(crate) caller: Caller,
    pub(crate) request: Request,
}

impl Call<'_> {
    pub(crate) fn space(&self) -> &Arc<Space> {
        &self.shared.space
    }

    pub(crate) fn query(&self) -> &str {
        &self.request.query
    }
}

pub(crate) async fn route(shared: &Arc<Shared>, request: Request) -> Response {
    if request.method == Method::OPTIONS {
        return reply::preflight();
    }
    if request.is_cut {
        return cut(shared, &request.path);
    }
    let path = request.path.clone();
    // Split first and decoded afterwards: a name may hold a slash.
    let segments: Vec<_> = path[1..].split('/').collect();
    match dispatch(shared, request, &segments).await {
        Ok(response) => response,
        Err(refused) => *refused,
    }
}

/// The answer to an address that is longer than a message may be.
fn cut(shared: &Shared, path: &str) -> Response {
    if path.starts_with("/publish/") || path.starts_with("/signal/") {
        return *publish::too_large(shared);
    }
    *reply::error(StatusCode::URI_TOO_LONG, "Balancer", "Request URI Too Long")
}

/// What is not a poll is boxed, so that a poll that is held does not carry room for it.
async fn dispatch(
    shared: &Arc<Shared>,
    request: Request,
    path: &[&str],
) -> Result<Response, reply::Refused> {
    match path {
        ["time", "0"] => Ok(time(shared)),
        [
            "publish",
            publish,
            subscribe,
            "0",
            channel,
            _callback,
            message @ ..,
        ] => {
            let draft = publish::Publish::message(publish, channel, message);
            Box::pin(draft.run(shared, request, subscribe)).await
        }
        [
            "signal",
            publish,
            subscribe,
            "0",
            channel,
            _callback,
            message @ ..,
        ] => {
            let draft = publish::Publish::signal(publish, channel, message);
            Box::pin(draft.run(shared, request, subscribe)).await
        }
        ["v2", "subscribe", key, channels, _callback] => {
            let call = call(shared, request, key, subscribe::SERVICE).await?;
            subscribe(&call, channels).await
        }
        ["v2", "presence", "sub-key" | "sub_key", key, rest @ ..] => {
            let call = call(shared, request, key, presence::SERVICE).await?;
            Box::pin(presence::route(&call, rest)).await
        }
        [
            "v1",
            "channel-registration",
            "sub-key",
            key,
            "channel-group",
            rest @ ..,
        ] => {
            let call = call(shared, request, key, groups::SERVICE).await?;
            Box::pin(groups::route(&call, rest)).await
        }
        ["v2", "history", "sub-key", key, "channel", channel] => {
            let call = call(shared, request, key, history::SERVICE).await?;
            Box::pin(history::v2(&call, channel)).await
        }
        [
            "v3",
            version @ ("history" | "history-with-actions"),
            "sub-key",
            key,
            rest @ ..,
        ] => {
            let call = call(shared, request, key, history::SERVICE).await?;
            Box::pin(history::v3(&call, rest, *version != "history")).await
        }
        ["v1", "message-actions", key, rest @ ..] => {
            let mut call = call(shared, request, key, history::SERVICE).await?;
            Box::pin(history::actions(&mut call, rest)).await
        }
        ["v3", "pam", key, rest @ ..] => Box::pin(access::route(shared, request, key, rest)).await,
        _ => Err(reply::not_found(service(path))),
    }
}

/// Finds the key set of a request, and who asks.
async fn call<'c>(
    shared: &'c Arc<Shared>,
    request: Request,
    key: &str,
    service: &str,
) -> Result<Call<'c>, reply::Refused> {
    let Some(set) = shared.keys.find(key) else {
        return Err(reply::invalid_subscribe_key());
    };
    let caller = access::admit(shared, set, &request, service).await?;
    Ok(Call {
        shared,
        set,
        caller,
        request,
    })
}

/// Who would have answered, in the vendor's words.
fn service(path: &[&str]) -> &'static str {
    match path {
        ["v1", "files", ..] => "Files",
        ["v1" | "v2", "push", ..] => "Push",
        ["v2", "objects", ..] => "Objects",
        ["v2", "auth", ..] | ["v3", "pam", ..] => reply::ACCESS_MANAGER,
        _ => "Balancer",
    }
}

/// A bare integer in an array.
fn time(shared: &Shared) -> Response {
    let now = shared.space.hub().clock().tick();
    reply::ok(format!("[{}]", now.0))
}
