//! Channel groups: listing them, and their channels; adding and removing.

use http::Method;
use polywire_core::{Channel, http::Answer, space::Action};

use crate::{
    call::Call,
    group_registry::{group_change, not_remembered},
    names::{pattern, split, split_list},
    reply::{self, Forbidden},
    service,
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
            let (space, origin) = (call.space(), &call.caller.origin);
            let judged = space.authorize(origin, Action::ListGroups);
            judged.map_err(|refusal| reply::refused_everywhere(&refusal, "Forbidden"))?;
            Ok(list_groups(call).await)
        }
        [group] => {
            let (name, group) = managed(call, group)?;
            let add = channels(call, "add")?;
            let added = add.iter().flatten();
            added
                .map(Channel::as_str)
                .try_for_each(check_is_no_wildcard)?;
            let remove = channels(call, "remove")?;
            change(call, &name, &group, add, remove).await
        }
        [group, "remove"] => {
            let (_, group) = managed(call, group)?;
            let channels = call.context.streams().await.group_entries(&group);
            put(call, &group, &channels, false).await?;
            Ok(reply::ok(DONE))
        }
        _ => Err(reply::not_found(service::CHANNEL_GROUPS)),
    }
}

/// The name of a group that the caller may manage, and its whole name.
fn managed(call: &Call<'_>, raw: &str) -> Result<(String, String), reply::Refused> {
    let bad = || reply::bad_request(service::CHANNEL_GROUPS, "Invalid Channel Group");
    let name = decode(raw).ok_or_else(bad)?.into_owned();
    let group = call.set.group(&name).ok_or_else(bad)?.into_owned();
    let judged = call
        .space()
        .authorize(&call.caller.origin, Action::ManageGroup(&group));
    let mut forbidden = Forbidden::default();
    forbidden.group(judged, &name, service::CHANNEL_GROUPS)?;
    forbidden.check()?;
    Ok((name, group))
}

/// The channels that a parameter names; none when it is not there.
fn channels(call: &Call<'_>, parameter: &str) -> Result<Option<Vec<Channel>>, reply::Refused> {
    let bad = || reply::bad_request(service::CHANNEL_GROUPS, "Invalid Channel");
    let Some(list) = call.query.get(parameter).ok_or_else(bad)? else {
        return Ok(None);
    };
    // A group leads to nothing of another tenant, not even where that could be named.
    let own = |name| {
        call.set
            .channel(name)
            .filter(|channel| call.set.owns(channel))
    };
    let channels = split_list(&list).map(own);
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

/// Refuses what a group could hold and would never deliver.
fn check_is_no_wildcard(name: &str) -> Result<(), reply::Refused> {
    if pattern(split(name).0).is_none() {
        return Ok(());
    }
    Err(reply::bad_request(
        service::CHANNEL_GROUPS,
        "A channel group holds no wildcards: add the channels, or subscribe to the wildcard.",
    ))
}

async fn change(
    call: &Call<'_>,
    name: &str,
    group: &str,
    add: Option<Vec<Channel>>,
    remove: Option<Vec<Channel>>,
) -> Result<Answer, reply::Refused> {
    let streams = call.context.streams().await;
    if add.is_none() && remove.is_none() {
        let channels = streams.group_entries(group);
        let names = channels
            .iter()
            .map(|channel| call.set.shown(channel.as_str()));
        let list = names.map(|name| quote(&name)).collect::<Vec<_>>().join(",");
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
        if !streams.has_room_in_group(group, &channels) {
            return Err(reply::bad_request(
                service::CHANNEL_GROUPS,
                "The channel group is full.",
            ));
        }
        put(call, group, &channels, true).await?;
    }
    if let Some(channels) = remove {
        put(call, group, &channels, false).await?;
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
    let changed = call.context.groups.change(changes).await;
    changed.map_err(|error| not_remembered(&error, service::CHANNEL_GROUPS))
}

async fn list_groups(call: &Call<'_>) -> Answer {
    let groups = call.context.streams().await.groups();
    let domain = call.set.domain();
    let names = groups
        .iter()
        .filter_map(|group| domain.unqualify(group))
        .map(quote);
    let list = names.collect::<Vec<_>>().join(",");
    reply::ok(format!(
        r#"{{"status":200,"payload":{{"groups":[{list}],"namespace":""}},"service":"channel-registry","error":false}}"#
    ))
}
