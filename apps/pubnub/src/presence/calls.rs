//! Signs of life, leaving, and state.

use polywire_core::{Channel, ClientId, JsonText, PresenceAction, http::Answer};
use serde_json::Value;

use super::{SERVICE, States, states::state_of};
use crate::{
    names::{At, Subject},
    reply,
    route::Call,
    subscribe::presence_timeout,
    text::{decode, parameter, quote},
};

fn bad(message: &str) -> reply::Refused {
    reply::bad_request(SERVICE, message)
}

/// The channels and groups of a call.
pub(super) fn subject(call: &Call<'_>, channels: &str) -> Result<Subject, reply::Refused> {
    let groups =
        parameter(call.query(), "channel-group").ok_or_else(|| bad("Invalid Channel Group"))?;
    let groups = groups.unwrap_or_default();
    let subject = Subject::parse(&call.shared.keys, call.set, channels, &groups);
    let subject = subject.map_err(|_| bad("Invalid Channel"))?;
    let limit = call.space().limits().channels_per_connection_max;
    if subject.names.len() > limit {
        let message = format!("One call may name {limit} channels and channel groups.");
        return Err(bad(&message));
    }
    Ok(subject)
}

/// The channels and groups of a call that only those may make who may read there.
pub(super) fn readable(call: &Call<'_>, channels: &str) -> Result<Subject, reply::Refused> {
    let subject = subject(call, channels)?;
    for wanted in &subject.names {
        call.caller.check_read(wanted)?;
    }
    Ok(subject)
}

/// The channels that a subject stands for, each with the name that led there. Patterns and presence names
/// are no places to be.
pub(super) async fn places(call: &Call<'_>, subject: &Subject) -> Vec<(Channel, String)> {
    let streams = call.shared.streams().await;
    let mut places = Vec::new();
    for wanted in subject.names.iter().filter(|wanted| !wanted.presence) {
        let name = || wanted.shown.to_string();
        match &wanted.at {
            At::Channel(channel) => places.push((channel.clone(), name())),
            At::Group(group) => {
                places.extend(streams.group(group).into_iter().map(|c| (c, name())));
            }
            At::Below(_) => {}
        }
    }
    let limit = call.space().limits().name_bytes_max;
    places.retain(|(channel, _)| channel.as_str().len() <= limit);
    places
}

/// `GET …/channel/{channels}/heartbeat`
pub(super) async fn heartbeat(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let subject = readable(call, channels)?;
    let seconds = parameter(call.query(), "heartbeat").ok_or_else(|| bad("Invalid Heartbeat"))?;
    let timeout = presence_timeout(seconds.as_deref()).map_err(|()| bad("Invalid Heartbeat"))?;
    let states = States::parse(call.query()).map_err(bad)?;
    if call.shared.settings.presence
        && let Some(client) = call.caller.client()
    {
        let streams = call.shared.streams().await;
        for (channel, name) in places(call, &subject).await {
            let before = streams.horizon(call.space().hub().clock());
            let (stay, state) = (call.shared.stay(timeout), states.of(&name));
            let origin = &call.caller.origin;
            let space = call.space();
            if space.touch(origin, &channel, client, stay, state).await {
                call.shared.joins.note(&channel, client, before);
            }
        }
    }
    Ok(reply::ok(
        r#"{"status":200,"message":"OK","service":"Presence"}"#,
    ))
}

/// `GET …/channel/{channels}/leave`
pub(super) async fn leave(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let subject = subject(call, channels)?;
    if let Some(client) = call.caller.client() {
        for (channel, _) in places(call, &subject).await {
            call.shared.leaves.note(&channel, client, ());
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
    let (subject, client) = (readable(call, channels)?, client(uuid)?);
    let text = parameter(call.query(), "state").ok_or_else(|| bad(INVALID))?;
    let text = text.unwrap_or_default();
    let state: Value = serde_json::from_str(&text).map_err(|_| bad(INVALID))?;
    let state = state_of(&state).map_err(bad)?;
    let state = state.unwrap_or_else(empty);
    for (channel, _) in places(call, &subject).await {
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
    let (subject, client) = (readable(call, channels)?, client(uuid)?);
    let of = |channel: &Channel| {
        let state = call.space().presence().state(channel, &client);
        state.flatten().unwrap_or_else(empty)
    };
    let uuid = quote(client.as_str());
    if let [wanted] = &subject.names[..]
        && let At::Channel(channel) = &wanted.at
    {
        let (state, name) = (of(channel), quote(&wanted.shown));
        let state = state.as_str();
        return Ok(reply::ok(format!(
            r#"{{"status":200,"message":"OK","payload":{state},"uuid":{uuid},"channel":{name},"service":"Presence"}}"#
        )));
    }
    let places = places(call, &subject).await;
    let states = places.iter().map(|(channel, _)| {
        let name = call.set.unqualify(channel.as_str()).unwrap_or_default();
        format!("{}:{}", quote(name), of(channel).as_str())
    });
    let states = states.collect::<Vec<_>>().join(",");
    Ok(reply::ok(format!(
        r#"{{"status":200,"message":"OK","payload":{{"channels":{{{states}}}}},"uuid":{uuid},"service":"Presence"}}"#
    )))
}
