//! Channel groups: listing them, and their channels; adding and removing.

use http::{Method, StatusCode};
use polywire_core::{Channel, http::Answer, space::RESERVED};

use crate::{
    access::{Resource, bits},
    call::Call,
    registries::{group_change, not_remembered},
    reply, service,
    text::{decode, quote},
};

/// Channels that one call adds.
const ADD_MAX: usize = 200;

const DONE: &str = r#"{"status":200,"message":"OK","service":"channel-registry","error":false}"#;

/// Everything below `/v1/channel-registration/sub-key/{key}/channel-group`.
pub(crate) async fn route(call: &Call<'_>, path: &[&str]) -> Result<Answer, reply::Refused> {
    if call.request.method != Method::GET {
        return Err(reply::method_not_allowed("GET"));
    }
    match path {
        [] | [""] => {
            if !call.caller.may_everything() {
                return Err(reply::error(
                    StatusCode::FORBIDDEN,
                    service::ACCESS_MANAGER,
                    "Forbidden",
                ));
            }
            Ok(list_groups(call).await)
        }
        [group] => {
            let name = name(group)?;
            call.caller.check(Resource::Group(&name), bits::MANAGE)?;
            let add = channels(call, "add")?;
            let remove = channels(call, "remove")?;
            change(call, &name, add, remove).await
        }
        [group, "remove"] => {
            let name = name(group)?;
            call.caller.check(Resource::Group(&name), bits::MANAGE)?;
            let group = call.set.qualify(&name);
            let channels = call.context.streams().await.group(&group);
            put(call, &group, &channels, false).await?;
            Ok(reply::ok(DONE))
        }
        _ => Err(reply::not_found(service::CHANNEL_GROUPS)),
    }
}

fn name(raw: &str) -> Result<String, reply::Refused> {
    let is_one =
        |name: &str| !name.is_empty() && !name.contains('\0') && !name.starts_with(RESERVED);
    let name = decode(raw).filter(|name| is_one(name));
    name.map(|name| name.into_owned())
        .ok_or_else(|| reply::bad_request(service::CHANNEL_GROUPS, "Invalid Channel Group"))
}

/// The channels that a parameter names; none when it is not there.
fn channels(call: &Call<'_>, parameter: &str) -> Result<Option<Vec<Channel>>, reply::Refused> {
    let bad = || reply::bad_request(service::CHANNEL_GROUPS, "Invalid Channel");
    let Some(list) = call.query.get(parameter).ok_or_else(bad)? else {
        return Ok(None);
    };
    let names = list.split(',').filter(|name| !name.is_empty());
    let channels = names.map(|name| call.context.keys.channel(call.set, name));
    let channels = channels.collect::<Option<Vec<_>>>().ok_or_else(bad)?;
    let limit = call.space().limits().name_bytes_max;
    if channels
        .iter()
        .any(|channel| channel.as_str().len() > limit)
    {
        let message = format!("A channel name is longer than {limit} bytes.");
        return Err(reply::bad_request(service::CHANNEL_GROUPS, &message));
    }
    Ok(Some(channels))
}

async fn change(
    call: &Call<'_>,
    name: &str,
    add: Option<Vec<Channel>>,
    remove: Option<Vec<Channel>>,
) -> Result<Answer, reply::Refused> {
    let limit = call.space().limits().name_bytes_max;
    if name.len() > limit {
        let message = format!("The channel group's name is longer than {limit} bytes.");
        return Err(reply::bad_request(service::CHANNEL_GROUPS, &message));
    }
    let (streams, group) = (call.context.streams().await, call.set.qualify(name));
    if add.is_none() && remove.is_none() {
        let channels = streams.group(&group);
        let names = channels
            .iter()
            .filter_map(|channel| call.set.unqualify(channel.as_str()));
        let list = names.map(quote).collect::<Vec<_>>().join(",");
        let name = quote(name);
        return Ok(reply::ok(format!(
            r#"{{"status":200,"payload":{{"channels":[{list}],"group":{name}}},"service":"channel-registry","error":false}}"#
        )));
    }
    if let Some(channels) = add {
        if channels.len() > ADD_MAX {
            let message = format!("One call may add {ADD_MAX} channels to a channel group.");
            return Err(reply::bad_request(service::CHANNEL_GROUPS, &message));
        }
        if !streams.has_room_in_group(&group, &channels) {
            return Err(reply::bad_request(
                service::CHANNEL_GROUPS,
                "The channel group is full.",
            ));
        }
        put(call, &group, &channels, true).await?;
    }
    if let Some(channels) = remove {
        put(call, &group, &channels, false).await?;
    }
    Ok(reply::ok(DONE))
}

/// Puts channels into a group, or takes them out, on all nodes.
async fn put(
    call: &Call<'_>,
    group: &str,
    channels: &[Channel],
    is_in: bool,
) -> Result<(), reply::Refused> {
    let changes = channels.iter();
    let changes: Vec<_> = changes
        .map(|channel| group_change(group, channel, is_in))
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let changed = call.context.registries.change_groups(changes).await;
    changed.map_err(|error| not_remembered(&error, service::CHANNEL_GROUPS))
}

async fn list_groups(call: &Call<'_>) -> Answer {
    let groups = call.context.streams().await.groups();
    let ours = groups.iter().filter(|group| {
        let (owner, _) = call.context.keys.owner(group);
        owner.subscribe_key() == call.set.subscribe_key()
    });
    let names = ours
        .filter_map(|group| call.set.unqualify(group))
        .map(quote);
    let list = names.collect::<Vec<_>>().join(",");
    reply::ok(format!(
        r#"{{"status":200,"payload":{{"groups":[{list}],"namespace":""}},"service":"channel-registry","error":false}}"#
    ))
}
