//! State of a client: setting and reading it.

use polywire_core::{Channel, ClientId, JsonText, PresenceAction, http::Answer, space::Action};
use serde_json::Value;

use super::{
    named::{bad, named_for, places},
    states::state_of,
};
use crate::{
    call::Call,
    reply::{self, Forbidden},
    service,
    subscribe_set::{Location, Purpose},
    text::{decode, quote},
};

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
    let (subscribe_set, client) = (named_for(call, channels, Purpose::SetState)?, client(uuid)?);
    call.caller.check_is(call.space(), &client)?;
    let text = call.query.get("state").ok_or_else(|| bad(INVALID))?;
    let text = text.unwrap_or_default();
    let state: Value = serde_json::from_str(&text).map_err(|_| bad(INVALID))?;
    let state = state_of(&state).map_err(bad)?;
    let state = state.unwrap_or_else(empty);
    let places = places(call, &subscribe_set).await;
    let mut forbidden = Forbidden::default();
    for (channel, name) in &places {
        let act = Action::ActAs(channel, &client);
        let judged = call.space().authorize(&call.caller.origin, act);
        forbidden.channel(judged, name, service::PRESENCE)?;
    }
    forbidden.check()?;
    for (channel, _) in places {
        let is_present = call
            .space()
            .set_state(&channel, &client, state.clone())
            .await;
        if !is_present {
            // The change is told of, though nobody is there to keep it for.
            let change = PresenceAction::StateChange;
            let mut event = call.space().presence_event(change, &channel, &client);
            event.state = Some(state.clone());
            call.space().announce(&channel, event).await;
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
    let (subscribe_set, client) = (
        named_for(call, channels, Purpose::SeePresence)?,
        client(uuid)?,
    );
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
        let name = call.set.shown(channel.as_str());
        format!("{}:{}", quote(&name), of(channel).as_str())
    });
    let states = states.collect::<Vec<_>>().join(",");
    Ok(reply::ok(format!(
        r#"{{"status":200,"message":"OK","payload":{{"channels":{{{states}}}}},"uuid":{uuid},"service":"Presence"}}"#
    )))
}
