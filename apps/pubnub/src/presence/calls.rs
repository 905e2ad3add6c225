//! Signs of life, leaving, and state.

use polywire_core::{Channel, ClientId, JsonText, PresenceAction, http::Answer};
use serde_json::Value;

use super::{
    states::{States, state_of},
    timeout::{parse_timeout, stay},
};
use crate::{
    access::bits,
    call::Call,
    reply, service,
    subscribe_set::{Location, SubscribeSet},
    text::{decode, quote},
};

fn bad(message: &str) -> reply::Refused {
    reply::bad_request(service::PRESENCE, message)
}

/// The channels and groups of a call.
pub(super) fn subscribe_set(
    call: &Call<'_>,
    channels: &str,
) -> Result<SubscribeSet, reply::Refused> {
    let groups = call
        .query
        .get("channel-group")
        .ok_or_else(|| bad("Invalid Channel Group"))?;
    let groups = groups.unwrap_or_default();
    let subscribe_set = SubscribeSet::parse(&call.context.keys, call.set, channels, &groups);
    let subscribe_set = subscribe_set.map_err(|_| bad("Invalid Channel"))?;
    let limit = call.space().limits().channels_per_connection_max;
    if subscribe_set.targets.len() > limit {
        let message = format!("One call may name {limit} channels and channel groups.");
        return Err(bad(&message));
    }
    Ok(subscribe_set)
}

/// The channels and groups of a call that only those may make who may read there.
pub(super) fn readable(call: &Call<'_>, channels: &str) -> Result<SubscribeSet, reply::Refused> {
    let subscribe_set = subscribe_set(call, channels)?;
    for target in &subscribe_set.targets {
        call.caller.check(target.resource(), bits::READ)?;
    }
    Ok(subscribe_set)
}

/// The channels that a set stands for, each with the name that led there. Patterns and presence names
/// are no places to be.
pub(super) async fn places(
    call: &Call<'_>,
    subscribe_set: &SubscribeSet,
) -> Vec<(Channel, String)> {
    let streams = call.context.streams().await;
    let mut places = Vec::new();
    for target in subscribe_set
        .targets
        .iter()
        .filter(|target| !target.presence)
    {
        let name = || target.shown.to_string();
        match &target.location {
            Location::Channel(channel) => places.push((channel.clone(), name())),
            Location::Group(group) => {
                places.extend(streams.group(group).into_iter().map(|c| (c, name())));
            }
            Location::Below(_) => {}
        }
    }
    let limit = call.space().limits().name_bytes_max;
    places.retain(|(channel, _)| channel.as_str().len() <= limit);
    places
}

/// `GET …/channel/{channels}/heartbeat`
pub(super) async fn heartbeat(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let subscribe_set = readable(call, channels)?;
    let seconds = call
        .query
        .get("heartbeat")
        .ok_or_else(|| bad("Invalid Heartbeat"))?;
    let timeout = parse_timeout(seconds.as_deref()).map_err(|()| bad("Invalid Heartbeat"))?;
    let states = States::parse(&call.query).map_err(bad)?;
    if call.context.settings.presence
        && let Some(client) = call.caller.client()
    {
        let streams = call.context.streams().await;
        for (channel, name) in places(call, &subscribe_set).await {
            let before = streams.horizon(call.space().hub().clock());
            let (stay, state) = (stay(&call.context.settings, timeout), states.of(&name));
            let origin = &call.caller.origin;
            let space = call.space();
            if space.touch(origin, &channel, client, stay, state).await {
                call.context.joins.note(&channel, client, before);
            }
        }
    }
    Ok(reply::ok(
        r#"{"status":200,"message":"OK","service":"Presence"}"#,
    ))
}

/// `GET …/channel/{channels}/leave`
pub(super) async fn leave(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let subscribe_set = subscribe_set(call, channels)?;
    if let Some(client) = call.caller.client() {
        for (channel, _) in places(call, &subscribe_set).await {
            call.context.leaves.note(&channel, client, ());
            call.space()
                .leave(&call.caller.origin, &channel, client)
                .await;
        }
    }
    Ok(reply::ok(
        r#"{"status":200,"message":"OK","action":"leave","service":"Presence"}"#,
    ))
}

fn client(raw: &str) -> Result<ClientId, reply::Refused> {
    let name = decode(raw).ok_or_else(|| bad("Invalid UUID"))?;
    ClientId::new(&name).map_err(|_| bad("Invalid UUID"))
}

/// `GET …/channel/{channels}/uuid/{uuid}/data?state=…`
pub(super) async fn set_state(
    call: &Call<'_>,
    channels: &str,
    uuid: &str,
) -> Result<Answer, reply::Refused> {
    const INVALID: &str = "Invalid JSON specified.";
    let (subscribe_set, client) = (readable(call, channels)?, client(uuid)?);
    let text = call.query.get("state").ok_or_else(|| bad(INVALID))?;
    let text = text.unwrap_or_default();
    let state: Value = serde_json::from_str(&text).map_err(|_| bad(INVALID))?;
    let state = state_of(&state).map_err(bad)?;
    let state = state.unwrap_or_else(empty);
    for (channel, _) in places(call, &subscribe_set).await {
        let is_present = call
            .space()
            .set_state(&channel, &client, state.clone())
            .await;
        if !is_present {
            // The change is told of, though nobody is there to keep it for.
            let change = PresenceAction::StateChange;
            let mut event = call.space().presence_event(change, &channel, &client);
            event.state = Some(state.clone());
            call.space().announce(&channel, event, None).await;
        }
    }
    let state = state.as_str();
    Ok(reply::ok(format!(
        r#"{{"status":200,"message":"OK","payload":{state},"service":"Presence"}}"#
    )))
}

fn empty() -> JsonText {
    // An object always has a JSON form.
    JsonText::of(&Value::Object(serde_json::Map::new())).unwrap_or_else(|_| JsonText::null())
}

/// `GET …/channel/{channels}/uuid/{uuid}`
pub(super) async fn state(
    call: &Call<'_>,
    channels: &str,
    uuid: &str,
) -> Result<Answer, reply::Refused> {
    let (subscribe_set, client) = (readable(call, channels)?, client(uuid)?);
    let of = |channel: &Channel| {
        let state = call.space().presence().state(channel, &client);
        state.flatten().unwrap_or_else(empty)
    };
    let uuid = quote(client.as_str());
    if let [target] = &subscribe_set.targets[..]
        && let Location::Channel(channel) = &target.location
    {
        let (state, name) = (of(channel), quote(&target.shown));
        let state = state.as_str();
        return Ok(reply::ok(format!(
            r#"{{"status":200,"message":"OK","payload":{state},"uuid":{uuid},"channel":{name},"service":"Presence"}}"#
        )));
    }
    let places = places(call, &subscribe_set).await;
    let states = places.iter().map(|(channel, _)| {
        let name = call.set.unqualify(channel.as_str()).unwrap_or_default();
        format!("{}:{}", quote(name), of(channel).as_str())
    });
    let states = states.collect::<Vec<_>>().join(",");
    Ok(reply::ok(format!(
        r#"{{"status":200,"message":"OK","payload":{{"channels":{{{states}}}}},"uuid":{uuid},"service":"Presence"}}"#
    )))
}
