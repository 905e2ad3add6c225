//! From addresses to what they do.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use polywire_core::{
    Space,
    http::{
        Answer, Request,
        direct::{Responder, Responding},
    },
};

use crate::{
    access::{self, Caller},
    app::Shared,
    groups, history,
    keys::KeySet,
    presence, publish, reply, subscribe,
};

/// What the addresses of the protocol begin with; what comes most often first.
const PREFIXES: [&str; 16] = [
    "/v2/subscribe/",
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
    "/v3/history",
    "/v3/pam/",
];

pub(crate) fn is_ours(path: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// Everything without a body comes on the fast path: polls are not only many, their connections also carry
/// whatever else a client asks for.
pub(crate) struct ShortWay(pub(crate) Arc<Shared>);

impl Responder for ShortWay {
    fn takes(&self, path: &str) -> bool {
        is_ours(path)
    }

    fn respond(&self, request: Request) -> Responding<'_> {
        // By itself: allocators are quicker with two pieces of less than a KiB than with one of more.
        let mut request = Box::new(request);
        Box::pin(async move { route(&self.0, &mut request).await })
    }
}

/// A request whose key set is known and whose sender was let in.
pub(crate) struct Call<'c> {
    pub(crate) shared: &'c Shared,
    pub(crate) set: &'c KeySet,
    pub(crate) caller: Caller,
    pub(crate) request: &'c mut Request,
}

impl Call<'_> {
    pub(crate) fn space(&self) -> &Arc<Space> {
        &self.shared.space
    }

    pub(crate) fn query(&self) -> &str {
        &self.request.query
    }
}

pub(crate) async fn route(shared: &Arc<Shared>, request: &mut Request) -> Answer {
    if request.method == Method::OPTIONS {
        return reply::preflight();
    }
    if request.is_cut {
        return cut(shared, &request.path);
    }
    let path = request.path.clone();
    let answered = match poll(&path) {
        Some((key, channels)) => subscribe(shared, request, key, channels).await,
        // Boxed, so that a poll that is held does not carry room for it.
        None => Box::pin(dispatch(shared, request, &path)).await,
    };
    answered.unwrap_or_else(|refused| *refused)
}

/// The key and the channels of `/v2/subscribe/{key}/{channels}/{callback}`.
fn poll(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.strip_prefix("/v2/subscribe/")?.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(key), Some(channels), Some(_callback), None) => Some((key, channels)),
        _ => None,
    }
}

async fn subscribe(
    shared: &Shared,
    request: &mut Request,
    key: &str,
    channels: &str,
) -> Result<Answer, reply::Refused> {
    let call = call(shared, request, key, subscribe::SERVICE).await?;
    // A poll may be held for minutes, and nobody asks for them any more.
    call.request.headers = HeaderMap::new();
    subscribe::subscribe(&call, channels).await
}

/// The answer to an address that is longer than a message may be.
fn cut(shared: &Shared, path: &str) -> Answer {
    if path.starts_with("/publish/") || path.starts_with("/signal/") {
        return *publish::too_large(shared);
    }
    *reply::error(StatusCode::URI_TOO_LONG, "Balancer", "Request URI Too Long")
}

/// Everything but polls.
async fn dispatch(
    shared: &Arc<Shared>,
    request: &mut Request,
    path: &str,
) -> Result<Answer, reply::Refused> {
    // Split first and decoded afterwards: a name may hold a slash.
    let segments: Vec<_> = path[1..].split('/').collect();
    let path = &segments[..];
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
            draft.run(shared, request, subscribe).await
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
            draft.run(shared, request, subscribe).await
        }
        ["v2", "presence", "sub-key" | "sub_key", key, rest @ ..] => {
            let call = call(shared, request, key, presence::SERVICE).await?;
            presence::route(&call, rest).await
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
            groups::route(&call, rest).await
        }
        ["v2", "history", "sub-key", key, "channel", channel] => {
            let call = call(shared, request, key, history::SERVICE).await?;
            history::v2(&call, channel).await
        }
        [
            "v3",
            version @ ("history" | "history-with-actions"),
            "sub-key",
            key,
            rest @ ..,
        ] => {
            let call = call(shared, request, key, history::SERVICE).await?;
            history::v3(&call, rest, *version != "history").await
        }
        ["v1", "message-actions", key, rest @ ..] => {
            let mut call = call(shared, request, key, history::SERVICE).await?;
            history::actions(&mut call, rest).await
        }
        ["v3", "pam", key, rest @ ..] => access::route(shared, request, key, rest).await,
        _ => Err(reply::not_found(service(path))),
    }
}

/// Finds the key set of a request, and who asks.
async fn call<'c>(
    shared: &'c Shared,
    request: &'c mut Request,
    key: &str,
    service: &str,
) -> Result<Call<'c>, reply::Refused> {
    let Some(set) = shared.keys.find(key) else {
        return Err(reply::invalid_subscribe_key());
    };
    let caller = access::admit(shared, set, request, service).await?;
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
fn time(shared: &Shared) -> Answer {
    let now = shared.space.hub().clock().tick();
    reply::ok(format!("[{}]", now.0))
}
