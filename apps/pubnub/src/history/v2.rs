//! The second version of reading: one channel, positions as numbers.

use polywire_core::{http::Answer, space::Action};

use super::{
    item, range,
    request::{bad, begin, number, one_channel, read},
};
use crate::{
    call::Call,
    reply::{self, Refused},
};

/// Messages of one answer.
const LIMIT: u64 = 100;

pub(super) async fn fetch(call: &Call<'_>, channel: &str) -> Result<Answer, Refused> {
    let channel = one_channel(call, channel, |channel| Action::ReadHistory(channel))?;
    let limit = number(call, "count")?.unwrap_or(LIMIT);
    if limit == 0 {
        return Err(bad("Invalid count: use 1 to 100."));
    }
    let (start, end) = (number(call, "start")?, number(call, "end")?);
    let reverse = call.query.is_on("reverse");
    let query = range::query(start, end, reverse, limit.min(LIMIT) as usize);
    let mut reading = begin(call).await?;
    let mut entries = read(call, &mut reading, channel, &query).await?.entries;
    if !reverse {
        entries.reverse();
    }
    let (token, meta) = (
        call.query.is_on("include_token"),
        call.query.is_on("include_meta"),
    );
    let as_text = call.query.is_on("string_message_token");
    let items = entries.iter().map(|stored| {
        let publication = &stored.publication;
        let message = item::bare(publication);
        if !token && !meta {
            return message;
        }
        let mut text = format!(r#"{{"message":{message}"#);
        if token {
            let timetoken = publication.position().timetoken.0;
            let quote = if as_text { "\"" } else { "" };
            text.push_str(&format!(r#","timetoken":{quote}{timetoken}{quote}"#));
        }
        if meta {
            text.push_str(r#","meta":"#);
            text.push_str(item::meta(publication));
        }
        text.push('}');
        text
    });
    let items = items.collect::<Vec<_>>().join(",");
    let place = |stored: Option<&polywire_core::Stored>| {
        stored.map_or(0, |stored| stored.publication.position().timetoken.0)
    };
    let (first, last) = (place(entries.first()), place(entries.last()));
    let answer = format!("[[{items}],{first},{last}]");
    Ok(reply::ok(reading.end().until_written(answer)))
}
