//! The handler of a subscribe: it checks what may be read, answers a handshake at once, and holds a poll.

use http::StatusCode;
use polywire_core::{Channel, http::Answer};

use super::{answer::write, members::Members, poll::Poll, request::SubscribeRequest};
use crate::{
    call::Call,
    held_polls::HeldBytes,
    reply::{self, Forbidden},
    service,
    subscribe_set::{Location, Purpose, SubscribeSet},
};

/// `GET /v2/subscribe/{key}/{channels}/0`, `GET /subscribe/{key}/{channels}/0/{cursor}`
pub(crate) async fn subscribe(
    call: &Call<'_>,
    request: SubscribeRequest,
) -> Result<Answer, reply::Refused> {
    check(call, &request).await?;
    let streams = call.context.streams().await;
    // The cursor is taken before the client joins, so that it sees itself come.
    let first = (request.after == 0).then(|| streams.horizon(call.space().hub().clock()));
    let _held = match first {
        Some(_) => None,
        None => Some(hold(call, &request.set)?),
    };
    let mut members = Members::of(call, streams, &request, first.is_some());
    let first = first.map(|cursor| members.before(cursor));
    members.join().await;
    let Some(cursor) = first else {
        let poll = Poll {
            call,
            streams,
            version: request.version,
            set: &request.set,
            filter: request.filter.as_ref(),
            after: request.after,
        };
        return poll.run(&mut members).await;
    };
    let answer = write(request.version, call.set, &request.set, cursor, &[]);
    Ok(reply::ok(answer))
}

/// Room for a poll that waits.
fn hold<'c>(call: &'c Call<'_>, set: &SubscribeSet) -> Result<HeldBytes<'c>, reply::Refused> {
    let (request, held_polls) = (&call.request, &call.context.held_polls);
    let bytes = request.path.len() + request.query.len();
    let address = request.peer.map(|peer| peer.ip());
    held_polls.take(address, set, bytes).ok_or_else(|| {
        reply::error(
            StatusCode::TOO_MANY_REQUESTS,
            service::SUBSCRIBE,
            "Too many channels are polled at once: use channel groups, or try again later.",
        )
    })
}

/// Asks whether the caller may read all of it.
async fn check(call: &Call<'_>, request: &SubscribeRequest) -> Result<(), reply::Refused> {
    let targets = &request.set.targets;
    if targets.is_empty() {
        let message = "Name at least one channel or channel group.";
        return Err(reply::bad_request(service::SUBSCRIBE, message));
    }
    let limit = call.space().limits().channels_per_connection_max;
    if targets.len() > limit {
        let message = format!(
            "One subscribe may name {limit} channels and channel groups: use channel groups for more."
        );
        return Err(reply::bad_request(service::SUBSCRIBE, &message));
    }
    call.authorize(&request.set, Purpose::Subscribe, service::SUBSCRIBE)?;
    request
        .states
        .authorize(call, &request.set, service::SUBSCRIBE)?;
    let mut forbidden = Forbidden::default();
    for target in targets {
        let channels = match &target.location {
            Location::Channel(channel) => vec![channel.clone()],
            // The dispatcher is asked about the channel that is called like the wildcard.
            Location::Below(above) => Channel::new(&format!("{above}.*")).into_iter().collect(),
            Location::Group(group) => call.context.streams().await.group(group),
        };
        for channel in channels {
            let checked = call
                .space()
                .dispatch_subscribe(&call.caller.origin, channel);
            let Err(refusal) = checked.await else {
                continue;
            };
            match target.location {
                Location::Group(_) => {
                    forbidden.group(Err(refusal), &target.shown, service::SUBSCRIBE)?;
                }
                _ => forbidden.channel(Err(refusal), &target.shown, service::SUBSCRIBE)?,
            }
            break;
        }
    }
    forbidden.check()
}
