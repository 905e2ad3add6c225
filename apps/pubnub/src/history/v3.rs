//! The third version of reading: many channels, positions as texts; and counting.

use polywire_core::{Span, Timetoken, http::Answer, space::Action};

use super::{
    item, range,
    request::{bad, begin, channels as readable, failed, number, read, store},
};
use crate::{
    call::Call,
    names::{path_list, split_list},
    reply::{self, Refused},
    text::quote,
};

/// Messages of an answer for one channel.
const LIMIT: u64 = 100;

/// Messages of each channel in an answer for several, or with actions.
const LIMIT_OF_EACH: u64 = 25;

/// Channels of one request.
const CHANNELS_MAX: usize = 500;

fn names(channels: &str) -> Result<Vec<String>, Refused> {
    let list = path_list(channels).map_err(|_| bad("Invalid Channel"))?;
    let names: Vec<_> = split_list(&list).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(bad("Name at least one channel."));
    }
    if names.len() > CHANNELS_MAX {
        return Err(bad(&format!(
            "One request may name {CHANNELS_MAX} channels."
        )));
    }
    Ok(names)
}

pub(super) async fn fetch(
    call: &Call<'_>,
    channels: &str,
    actions: bool,
) -> Result<Answer, Refused> {
    let names = names(channels)?;
    if actions && names.len() > 1 {
        return Err(bad(
            "Messages with actions are read of one channel at a time.",
        ));
    }
    let limit = if actions || names.len() > 1 {
        LIMIT_OF_EACH
    } else {
        LIMIT
    };
    let limit = number(call, "max")?
        .filter(|max| *max > 0)
        .unwrap_or(limit)
        .min(limit);
    let include = item::Include {
        meta: call.query.is_on("include_meta"),
        client: call.query.is_on("include_uuid"),
        kind: call.query.is_on("include_message_type"),
        label: call.query.is_on("include_custom_message_type"),
        actions,
    };
    let (start, end) = (number(call, "start")?, number(call, "end")?);
    let query = range::query(start, end, false, limit as usize);
    let found = readable(call, &names, |channel| Action::ReadHistory(channel))?;
    let mut reading = begin(call).await?;
    let (mut parts, mut more) = (Vec::new(), String::new());
    for (name, channel) in names.iter().zip(found) {
        let mut page = read(call, &mut reading, channel, &query).await?;
        page.entries.reverse();
        let Some(first) = page.entries.first() else {
            continue;
        };
        if actions && page.more {
            let start = first.publication.position().timetoken.0;
            let (key, channel) = (call.set.subscribe_key(), channels);
            more = format!(
                r#","more":{{"url":"/v3/history-with-actions/sub-key/{key}/channel/{channel}?start={start}&max={limit}","start":"{start}","max":{limit}}}"#
            );
        }
        let items = page
            .entries
            .iter()
            .map(|stored| item::object(stored, include));
        let items = items.collect::<Vec<_>>().join(",");
        parts.push(format!("{}:[{items}]", quote(name)));
        // Many channels with long messages take long.
        tokio::task::yield_now().await;
    }
    let channels = parts.join(",");
    let answer = format!(
        r#"{{"status":200,"error":false,"error_message":"","channels":{{{channels}}}{more}}}"#
    );
    Ok(reply::ok(reading.end().until_written(answer)))
}

/// `GET …/message-counts/{channels}`
pub(super) async fn counts(call: &Call<'_>, channels: &str) -> Result<Answer, Refused> {
    let names = names(channels)?;
    let times = times(call, names.len())?;
    let store = store(call)?;
    let mut parts = Vec::new();
    let found = readable(call, &names, |channel| Action::ReadHistory(channel))?;
    for (index, (name, channel)) in names.iter().zip(found).enumerate() {
        // One time is for all channels.
        let from = times.get(index).or(times.first()).copied();
        let span = Span {
            from: Timetoken(from.unwrap_or_default()),
            ..Span::ALL
        };
        let count = store.count(&channel.into(), span).await;
        let count = count.map_err(|error| failed(&error))?;
        parts.push(format!("{}:{count}", quote(name)));
    }
    let channels = parts.join(",");
    Ok(reply::ok(format!(
        r#"{{"status":200,"error":false,"error_message":"","channels":{{{channels}}}}}"#
    )))
}

fn times(call: &Call<'_>, channels: usize) -> Result<Vec<u64>, Refused> {
    const INVALID: &str =
        "Invalid timetoken: give one, or channelsTimetoken with one for each channel.";
    if let Some(time) = number(call, "timetoken")? {
        return Ok(vec![time]);
    }
    let list = call.query.get("channelsTimetoken").flatten();
    let list = list.ok_or_else(|| bad(INVALID))?;
    let times = list.split(',').map(|digits| digits.parse().ok());
    let times: Option<Vec<u64>> = times.collect();
    match times {
        Some(times) if times.len() == channels || times.len() == 1 => Ok(times),
        _ => Err(bad(INVALID)),
    }
}
