//! The channels and groups that a call names.

use polywire_core::Channel;

use crate::{
    call::Call,
    reply, service,
    subscribe_set::{Location, Purpose, SubscribeSet},
};

pub(super) fn bad(message: &str) -> reply::Refused {
    reply::bad_request(service::PRESENCE, message)
}

/// The channels and groups of a call.
pub(super) fn named(call: &Call<'_>, channels: &str) -> Result<SubscribeSet, reply::Refused> {
    let groups = call
        .query
        .get("channel-group")
        .ok_or_else(|| bad("Invalid Channel Group"))?;
    let groups = groups.unwrap_or_default();
    let subscribe_set = SubscribeSet::parse(call.set, channels, &groups);
    let subscribe_set = subscribe_set.map_err(|_| bad("Invalid Channel"))?;
    let limit = call.space().limits().channels_per_connection_max;
    if subscribe_set.targets.len() > limit {
        let message = format!("One call may name {limit} channels and channel groups.");
        return Err(bad(&message));
    }
    Ok(subscribe_set)
}

/// The same of a call that only those may make who may do this there.
pub(super) fn named_for(
    call: &Call<'_>,
    channels: &str,
    purpose: Purpose,
) -> Result<SubscribeSet, reply::Refused> {
    let subscribe_set = named(call, channels)?;
    call.authorize(&subscribe_set, purpose, service::PRESENCE)?;
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
