//! Routes: from addresses to what they do.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use polywire_core::http::{
    Answer, Request,
    direct::{Responder, Responding},
};

use crate::{
    call::Call,
    context::Context,
    grant, groups, history, jsonp, presence,
    publish::{self, Publish},
    query::Query,
    reply, service,
    subscribe::{self, SubscribeRequest},
};

const NAME: &str = "pubnub";

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
pub(crate) struct FastPath(pub(crate) Arc<Context>);

impl Responder for FastPath {
    fn takes(&self, path: &str) -> bool {
        is_ours(path)
    }

    fn respond(&self, request: Request) -> Responding<'_> {
        // By itself: allocators are quicker with two pieces of less than a KiB than with one of more.
        let mut request = Box::new(request);
        Box::pin(async move { route(&self.0, &mut request).await })
    }
}

pub(crate) async fn route(context: &Arc<Context>, request: &mut Request) -> Answer {
    if let Err(foreign) = context
        .origins
        .check(NAME, request, context.space.runtime())
    {
        return *reply::error(
            StatusCode::FORBIDDEN,
            service::ACCESS_MANAGER,
            &foreign.to_string(),
        );
    }
    if request.method == Method::OPTIONS {
        return reply::preflight();
    }
    if request.is_cut {
        return cut(context, &request.path);
    }
    let (path, query) = (request.path.clone(), request.query.clone());
    let callback = match jsonp::callback(context, &path) {
        Ok(callback) => callback,
        Err(refused) => return *refused,
    };
    let query = Query::parse(&query);
    let answered = match PollAddress::parse(&path) {
        Some(poll) => subscribe(context, request, query, poll).await,
        // Boxed, so that a poll that is held does not carry room for it.
        None => Box::pin(dispatch(context, request, query, &path)).await,
    };
    let answer = answered.unwrap_or_else(|refused| *refused);
    match callback {
        Some(name) => jsonp::call(name, answer),
        None => answer,
    }
}

/// The address of a subscribe.
struct PollAddress<'p> {
    key: &'p str,
    channels: &'p str,
    /// The cursor, where the first version has it.
    cursor: Option<&'p str>,
}

impl<'p> PollAddress<'p> {
    /// `/v2/subscribe/{key}/{channels}/{callback}`, or of the first version `/subscribe/{key}/{channels}/{callback}/{cursor}`.
    fn parse(path: &'p str) -> Option<Self> {
        let (rest, is_second) = match path.strip_prefix("/v2/subscribe/") {
            Some(rest) => (rest, true),
            None => (path.strip_prefix("/subscribe/")?, false),
        };
        let mut parts = rest.split('/');
        let (key, channels, _callback) = (parts.next()?, parts.next()?, parts.next()?);
        let cursor = parts.next();
        (cursor.is_none() == is_second && parts.next().is_none()).then_some(Self {
            key,
            channels,
            cursor,
        })
    }
}

async fn subscribe(
    context: &Context,
    request: &mut Request,
    query: Query<'_>,
    poll: PollAddress<'_>,
) -> Result<Answer, reply::Refused> {
    let mut call = Call::admit(context, request, query, poll.key, b"", service::SUBSCRIBE).await?;
    let request = SubscribeRequest::parse(&call, poll.channels, poll.cursor)?;
    // A poll may be held for minutes, and nobody asks for them any more.
    call.request.headers = HeaderMap::new();
    call.query = Query::default();
    subscribe::subscribe(&call, request).await
}

/// The answer to an address that is longer than a message may be.
fn cut(context: &Context, path: &str) -> Answer {
    if path.starts_with("/publish/") || path.starts_with("/signal/") {
        return *publish::too_large(context);
    }
    *reply::error(
        StatusCode::URI_TOO_LONG,
        service::BALANCER,
        "Request URI Too Long",
    )
}

/// Everything but polls.
async fn dispatch(
    context: &Arc<Context>,
    request: &mut Request,
    query: Query<'_>,
    path: &str,
) -> Result<Answer, reply::Refused> {
    // Split first and decoded afterwards: a name may hold a slash.
    let segments: Vec<_> = path[1..].split('/').collect();
    let path = &segments[..];
    match path {
        ["time", _callback] => Ok(time(context)),
        [
            "publish",
            publish,
            subscribe,
            "0",
            channel,
            _callback,
            message @ ..,
        ] => {
            let draft = Publish::message(publish, channel, message);
            draft.run(context, request, &query, subscribe).await
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
            let draft = Publish::signal(publish, channel, message);
            draft.run(context, request, &query, subscribe).await
        }
        ["v2", "presence", "sub-key" | "sub_key", key, rest @ ..] => {
            let call = Call::admit(context, request, query, key, b"", service::PRESENCE).await?;
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
            let call =
                Call::admit(context, request, query, key, b"", service::CHANNEL_GROUPS).await?;
            groups::route(&call, rest).await
        }
        ["v2", "history", "sub-key", key, "channel", channel] => {
            let call = Call::admit(context, request, query, key, b"", service::HISTORY).await?;
            history::route_v2(&call, channel).await
        }
        [
            "v3",
            version @ ("history" | "history-with-actions"),
            "sub-key",
            key,
            rest @ ..,
        ] => {
            let call = Call::admit(context, request, query, key, b"", service::HISTORY).await?;
            history::route_v3(&call, rest, *version != "history").await
        }
        ["v1", "message-actions", key, rest @ ..] => {
            let body = history::actions_body(context, request).await?;
            let call = Call::admit(context, request, query, key, &body, service::HISTORY).await?;
            history::route_actions(&call, rest, &body).await
        }
        ["v3", "pam", key, rest @ ..] => grant::route(context, request, &query, key, rest).await,
        _ => Err(reply::not_found(service_of(path))),
    }
}

/// Who would have answered, in the vendor's words.
fn service_of(path: &[&str]) -> &'static str {
    match path {
        ["v1", "files", ..] => service::FILES,
        ["v1" | "v2", "push", ..] => service::PUSH,
        ["v2", "objects", ..] => service::OBJECTS,
        ["v2", "auth", ..] | ["v3", "pam", ..] => service::ACCESS_MANAGER,
        _ => service::BALANCER,
    }
}

/// A bare integer in an array.
fn time(context: &Context) -> Answer {
    let now = context.space.hub().clock().tick();
    reply::ok(format!("[{}]", now.0))
}
