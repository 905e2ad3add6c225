//! Heartbeats: signs of life without a poll.

use polywire_core::http::Answer;

use super::{
    named::{bad, named_for, places},
    states::States,
    timeout::{parse_timeout, stay},
};
use crate::{call::Call, instances::instance_id, reply, service, subscribe_set::Purpose};

/// `GET …/channel/{channels}/heartbeat`
pub(super) async fn heartbeat(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let subscribe_set = named_for(call, channels, Purpose::Subscribe)?;
    let seconds = call
        .query
        .get("heartbeat")
        .ok_or_else(|| bad("Invalid Heartbeat"))?;
    let timeout = parse_timeout(seconds.as_deref()).map_err(|()| bad("Invalid Heartbeat"))?;
    let states = States::parse(&call.query).map_err(bad)?;
    states.authorize(call, &subscribe_set, service::PRESENCE)?;
    if call.context.settings.presence
        && let Some(client) = call.caller.client()
    {
        let streams = call.context.streams().await;
        let owner = call.member_owner();
        let instance = instance_id(&call.query);
        let lease = timeout.unwrap_or(call.context.settings.presence_timeout);
        for (channel, name) in places(call, &subscribe_set).await {
            if !call.counts_as(&channel, client) {
                continue;
            }
            let before = streams.horizon(call.space().hub().clock());
            let (stay, state) = (stay(&call.context.settings, timeout), states.of(&name));
            let origin = &call.caller.origin;
            if let Some(id) = &instance {
                call.context.instances.touch(&channel, client, id, lease);
            }
            let space = call.space();
            let touched = space.touch(origin, &channel, client, stay, &owner, state);
            if touched.is_new {
                call.context.joins.note(&channel, client, before);
            }
            space.touched(origin, &channel, touched).await;
        }
    }
    Ok(reply::ok(
        r#"{"status":200,"message":"OK","service":"Presence"}"#,
    ))
}
