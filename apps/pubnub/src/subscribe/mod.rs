//! Subscribing: a handshake, and then one long poll after another.

mod answer;
mod members;
mod poll;

use std::time::Duration;

use polywire_core::{Channel, http::Answer};

use self::{answer::write, members::Members, poll::Poll};
use crate::{
    filter::{Filter, InvalidFilter},
    names::{At, BadName, Subject},
    presence::States,
    reply,
    route::Call,
    text::parameter,
};

pub(crate) const SERVICE: &str = "Subscribe";

const FILTER_PROBLEM: &str = "Filter syntax error";

/// `GET /v2/subscribe/{key}/{channels}/0`
pub(crate) async fn subscribe(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let wish = Wish::parse(call, channels)?;
    check(call, &wish.subject).await?;
    let streams = call.shared.streams().await;
    // The cursor is taken before the client joins, so that it sees itself come.
    let first = (wish.after == 0).then(|| streams.horizon(call.space().hub().clock()));
    let mut members = Members::of(call, streams, &wish, first.is_some());
    let first = first.map(|cursor| members.before(cursor));
    members.join().await;
    let Some(cursor) = first else {
        let poll = Poll {
            call,
            streams,
            subject: &wish.subject,
            filter: wish.filter.as_ref(),
            after: wish.after,
        };
        return poll.run(&mut members).await;
    };
    Ok(reply::ok(write(call.set, &wish.subject, cursor, &[])))
}

/// What a subscribe asks for.
struct Wish {
    subject: Subject,
    /// The cursor; 0 for a handshake.
    after: u64,
    /// How long the client wants to count as present.
    timeout: Option<Duration>,
    states: States,
    filter: Option<Filter>,
}

impl Wish {
    fn parse(call: &Call<'_>, channels: &str) -> Result<Self, reply::Refused> {
        let bad = |message| reply::bad_request(SERVICE, message);
        let query = call.query();
        let value = |name, problem| parameter(query, name).ok_or_else(|| bad(problem));
        let groups = value("channel-group", "Invalid Channel Group")?.unwrap_or_default();
        let subject = Subject::parse(&call.shared.keys, call.set, channels, &groups);
        let subject = subject.map_err(|error| {
            bad(match error {
                BadName::Encoding => "A channel name is not valid UTF-8.",
                BadName::Invalid => "Invalid Channel",
            })
        })?;
        let after = match value("tt", "Invalid Timetoken")?.as_deref() {
            None | Some("") => 0,
            Some(digits) => digits.parse().map_err(|_| bad("Invalid Timetoken"))?,
        };
        let timeout = value("heartbeat", "Invalid Heartbeat")?;
        let timeout =
            presence_timeout(timeout.as_deref()).map_err(|()| bad("Invalid Heartbeat"))?;
        let states = States::parse(query).map_err(bad)?;
        let filter = match value("filter-expr", FILTER_PROBLEM)? {
            Some(text) if !text.is_empty() => {
                let filter = Filter::parse(&text);
                Some(filter.map_err(|InvalidFilter| bad(FILTER_PROBLEM))?)
            }
            _ => None,
        };
        Ok(Self {
            subject,
            after,
            timeout,
            states,
            filter,
        })
    }
}

/// Reads the seconds that a client wants to count as present.
pub(crate) fn presence_timeout(seconds: Option<&str>) -> Result<Option<Duration>, ()> {
    match seconds {
        None | Some("" | "0") => Ok(None),
        Some(digits) => {
            let seconds: u64 = digits.parse().map_err(|_| ())?;
            // A day is longer than anybody asks for, and no clock overflows.
            Ok(Some(Duration::from_secs(seconds.min(24 * 60 * 60))))
        }
    }
}

/// Asks whether the caller may read all of it.
async fn check(call: &Call<'_>, subject: &Subject) -> Result<(), reply::Refused> {
    let names = &subject.names;
    if names.is_empty() {
        let message = "Name at least one channel or channel group.";
        return Err(reply::bad_request(SERVICE, message));
    }
    let limit = call.space().limits().channels_per_connection_max;
    if names.len() > limit {
        let message = format!(
            "One subscribe may name {limit} channels and channel groups: use channel groups for more."
        );
        return Err(reply::bad_request(SERVICE, &message));
    }
    for wanted in names {
        call.caller.check_read(wanted)?;
        let channels = match &wanted.at {
            At::Channel(channel) => vec![channel.clone()],
            // Whoever may read the channel that is called like a pattern may read what matches.
            At::Below(above) => Channel::new(&format!("{above}.*")).into_iter().collect(),
            At::Group(group) => call.shared.streams().await.group(group),
        };
        for channel in channels {
            let checked = call
                .space()
                .validate_subscribe(&call.caller.origin, channel);
            if let Err(refusal) = checked.await {
                return Err(reply::refused(&refusal, SERVICE, &wanted.shown));
            }
        }
    }
    Ok(())
}
