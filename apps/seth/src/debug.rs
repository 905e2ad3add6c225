//! The debug API: who is on which channel of this node.

use std::{collections::BTreeMap, sync::Arc};

use http::{Method, StatusCode};
use polywire_core::{
    Channel, ClientId, Origin, Space,
    http::{Request, Response, json},
    space::{Action, RESERVED},
};
use serde::Serialize;

use crate::{api, reply};

#[derive(Serialize)]
struct Overview {
    subscribers: BTreeMap<String, Vec<Option<ClientId>>>,
    /// The sum of the lists' lengths: a client on three channels counts three times.
    subscriber_count: usize,
}

/// `GET /debug/`
pub(crate) async fn overview(space: &Arc<Space>, request: &Request) -> Response {
    if let Err(response) = check(space, request).await {
        return response;
    }
    let mut channels = space.hub().channels();
    channels.retain(|channel| !channel.as_str().starts_with(RESERVED));
    answer(space, channels)
}

/// `GET /debug/channels/<name>/`
pub(crate) async fn channel(space: &Arc<Space>, request: &Request, name: &str) -> Response {
    if let Err(response) = check(space, request).await {
        return response;
    }
    match api::decode(name).map(|name| Channel::new(&name)) {
        Ok(Ok(channel)) => answer(space, vec![channel]),
        Ok(Err(_)) => reply::not_found(),
        Err(message) => reply::error(StatusCode::BAD_REQUEST, message),
    }
}

async fn check(space: &Space, request: &Request) -> Result<(), Response> {
    if request.method != Method::GET {
        return Err(reply::method_not_allowed("GET"));
    }
    let identity = api::authenticate(space, request).await?;
    let origin = Origin::new("seth", identity).peer(request.peer);
    space
        .authorize(&origin, Action::Administer)
        .map_err(|refusal| reply::error(StatusCode::FORBIDDEN, &refusal.message))
}

fn answer(space: &Space, channels: Vec<Channel>) -> Response {
    let subscribers: BTreeMap<_, _> = channels
        .into_iter()
        .map(|channel| (channel.to_string(), space.hub().members(&channel)))
        .collect();
    let subscriber_count = subscribers.values().map(Vec::len).sum();
    match serde_json::to_string(&Overview {
        subscribers,
        subscriber_count,
    }) {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => {
            tracing::error!(%error, "could not write the debug answer");
            reply::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The answer could not be written.",
            )
        }
    }
}
