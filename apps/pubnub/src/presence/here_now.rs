//! Here now, where now: lists of members.

use polywire_core::{
    Channel, ClientId,
    http::Answer,
    space::{Action, Member},
};

use super::named::{named_for, places};
use crate::{
    call::Call,
    query::Query,
    reply, service,
    subscribe_set::{Location, Purpose},
    text::{decode, quote},
};

/// Members that one answer lists of a channel.
const LIMIT: usize = 1000;

/// How a list is wanted.
struct ListOptions {
    uuids: bool,
    states: bool,
    limit: usize,
    offset: usize,
}

impl ListOptions {
    fn parse(query: &Query<'_>) -> Result<Self, reply::Refused> {
        let value = |name: &str| {
            query
                .get(name)
                .ok_or_else(|| reply::bad_request(service::PRESENCE, "Invalid parameter"))
        };
        let number = |name: &str, default: usize| match value(name)?.as_deref() {
            None | Some("") => Ok(default),
            Some(digits) => digits.parse().map_err(|_| {
                let message = format!("Invalid {name}: it must be a number.");
                reply::bad_request(service::PRESENCE, &message)
            }),
        };
        let limit = number("limit", LIMIT)?.min(LIMIT);
        Ok(Self {
            uuids: !is_on(value("disable_uuids")?.as_deref()),
            states: is_on(value("state")?.as_deref()),
            limit,
            offset: number("offset", 0)?,
        })
    }

    /// `"uuids":[…],"occupancy":n` of a channel, and how many there are.
    fn describe(&self, call: &Call<'_>, channel: &Channel) -> (String, usize) {
        let presence = call.space().presence();
        if !self.uuids {
            let occupancy = presence.occupancy(channel);
            return (format!(r#""occupancy":{occupancy}"#), occupancy);
        }
        let members = presence.members(channel);
        let occupancy = members.len();
        let listed = members.iter().skip(self.offset).take(self.limit);
        let uuids = listed.map(|member| self.member(member));
        let uuids = uuids.collect::<Vec<_>>().join(",");
        (
            format!(r#""uuids":[{uuids}],"occupancy":{occupancy}"#),
            occupancy,
        )
    }

    fn member(&self, member: &Member) -> String {
        let uuid = quote(member.client.as_str());
        match &member.state {
            _ if !self.states => uuid,
            Some(state) => format!(r#"{{"uuid":{uuid},"state":{}}}"#, state.as_str()),
            None => format!(r#"{{"uuid":{uuid}}}"#),
        }
    }
}

fn is_on(value: Option<&str>) -> bool {
    matches!(value, Some("1" | "true"))
}

/// `GET …/channel/{channels}`
pub(super) async fn here_now(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let options = ListOptions::parse(&call.query)?;
    let subscribe_set = named_for(call, channels, Purpose::SeePresence)?;
    if let [target] = &subscribe_set.targets[..]
        && let Location::Channel(channel) = &target.location
    {
        let (description, _) = options.describe(call, channel);
        return Ok(reply::ok(format!(
            r#"{{"status":200,"message":"OK","service":"Presence",{description}}}"#
        )));
    }
    let places = places(call, &subscribe_set).await;
    Ok(several(
        call,
        &options,
        places.iter().map(|(channel, _)| channel),
    ))
}

/// `GET …`: all channels that somebody is on.
pub(super) async fn everywhere(call: &Call<'_>) -> Result<Answer, reply::Refused> {
    let options = ListOptions::parse(&call.query)?;
    let (space, origin) = (call.space(), &call.caller.origin);
    let judged = space.authorize(origin, Action::PresenceEverywhere);
    judged.map_err(|refusal| reply::refused_everywhere(&refusal, "Forbidden"))?;
    let mut channels = call.space().presence().channels();
    channels.sort_unstable();
    Ok(several(
        call,
        &options,
        channels.iter().filter(|channel| call.set.owns(channel)),
    ))
}

fn several<'c>(
    call: &Call<'_>,
    options: &ListOptions,
    channels: impl Iterator<Item = &'c Channel>,
) -> Answer {
    let (mut total, mut parts) = (0, Vec::new());
    for channel in channels {
        let (description, occupancy) = options.describe(call, channel);
        if occupancy > 0 {
            let name = call.set.shown(channel.as_str());
            parts.push(format!("{}:{{{description}}}", quote(&name)));
            total += occupancy;
        }
    }
    let (count, channels) = (parts.len(), parts.join(","));
    reply::ok(format!(
        r#"{{"status":200,"message":"OK","payload":{{"channels":{{{channels}}},"total_channels":{count},"total_occupancy":{total}}},"service":"Presence"}}"#
    ))
}

/// `GET …/uuid/{uuid}`: the channels that a client is on.
pub(super) fn where_now(call: &Call<'_>, uuid: &str) -> Result<Answer, reply::Refused> {
    let client = decode(uuid).and_then(|uuid| ClientId::new(&uuid).ok());
    let client = client.ok_or_else(|| reply::bad_request(service::PRESENCE, "Invalid UUID"))?;
    call.caller.check_known()?;
    let mut channels = call.space().presence().channels_of(&client);
    // Where the caller may not see who is there is left out.
    let (space, origin) = (call.space(), &call.caller.origin);
    channels.retain(|channel| {
        call.set.owns(channel) && space.may(origin, Action::SeePresence(channel))
    });
    channels.sort_unstable();
    let names = channels
        .iter()
        .map(|channel| quote(&call.set.shown(channel.as_str())));
    let names = names.collect::<Vec<_>>().join(",");
    Ok(reply::ok(format!(
        r#"{{"status":200,"message":"OK","payload":{{"channels":[{names}]}},"service":"Presence"}}"#
    )))
}
