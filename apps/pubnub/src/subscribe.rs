//! Subscribing: a handshake, and then one long poll after another.

use std::{sync::Arc, time::Duration};

use polywire_core::{Channel, ClientId, JsonText, http::Response};
use tokio::time::{Instant, timeout_at};

use crate::{
    filter::{Filter, InvalidFilter},
    history,
    keys::KeySet,
    names::{At, BadName, Subject},
    presence::States,
    reply,
    route::Call,
    stream::{Entry, Streams, Waiter},
    text::{parameter, quote},
};

pub(crate) const SERVICE: &str = "Subscribe";

const FILTER_PROBLEM: &str = "Filter syntax error";

/// `GET /v2/subscribe/{key}/{channels}/0`
pub(crate) async fn subscribe(call: &Call<'_>, channels: &str) -> Result<Response, reply::Refused> {
    // Boxed, so that a poll that is held does not carry room for what is over.
    match Box::pin(begin(call, channels)).await? {
        Begun::Handshake(answer) => Ok(answer),
        Begun::Poll(poll) => poll.run().await,
    }
}

/// What a subscribe begins with.
enum Begun<'c> {
    Handshake(Response),
    Poll(Poll<'c>),
}

/// A poll that is to be held.
struct Poll<'c> {
    call: &'c Call<'c>,
    subject: Subject,
    after: u64,
    members: Members<'c>,
    filter: Option<Filter>,
}

async fn begin<'c>(call: &'c Call<'c>, channels: &str) -> Result<Begun<'c>, reply::Refused> {
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
    let timeout = presence_timeout(timeout.as_deref()).map_err(|()| bad("Invalid Heartbeat"))?;
    let states = States::parse(query).map_err(bad)?;
    let filter = match value("filter-expr", FILTER_PROBLEM)? {
        Some(text) if !text.is_empty() => {
            let filter = Filter::parse(&text);
            Some(filter.map_err(|InvalidFilter| bad(FILTER_PROBLEM))?)
        }
        _ => None,
    };
    check(call, &subject).await?;
    let streams = call.shared.streams().await;
    // The cursor is taken before the client joins, so that it sees itself come.
    let first = (after == 0).then(|| streams.horizon(call.space().hub().clock()));
    let mut members = Members::of(call, streams, &subject, timeout, &states, first.is_some());
    if let Some(cursor) = first {
        let cursor = members.before(cursor);
        members.join().await;
        let answer = write(call.set, &subject, cursor, &[]);
        return Ok(Begun::Handshake(reply::ok(answer)));
    }
    members.join().await;
    Ok(Begun::Poll(Poll {
        call,
        subject,
        after,
        members,
        filter,
    }))
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

impl Poll<'_> {
    /// Waits for something to come after the cursor, as long as polls are held.
    async fn run(mut self) -> Result<Response, reply::Refused> {
        let (call, shared) = (self.call, self.call.shared);
        let streams = shared.streams().await;
        let waiting = Waiting {
            streams,
            subject: &self.subject,
            waiter: Waiter::new(),
        };
        let end = Instant::now() + shared.settings.hold;
        let mut is_last = false;
        loop {
            // The token may have expired, or been revoked, meanwhile.
            call.caller.check_again(&shared.access)?;
            let mut batch = streams.read(&self.subject, self.after, &waiting.waiter);
            if !batch.gaps.is_empty() && shared.settings.catch_up {
                let older = Box::pin(history::older(call, self.after, &batch.gaps)).await;
                batch = streams.read_with(&self.subject, self.after, &waiting.waiter, older);
            }
            let came = !batch.found.is_empty();
            if let Some(filter) = &self.filter {
                let wanted = |entry: &Entry| entry.message().is_none_or(|m| filter.wants(m));
                batch.found.retain(|(entry, _)| wanted(entry));
            }
            let is_over = is_last || shared.is_stopping();
            if !batch.found.is_empty() || is_over {
                let answer = write(call.set, &self.subject, batch.cursor, &batch.found);
                return Ok(reply::ok(answer));
            }
            self.after = batch.cursor;
            if came {
                // None of it is wanted: look again, behind it.
                continue;
            }
            let until = self.members.later().map_or(end, |later| later.min(end));
            if timeout_at(until, waiting.waiter.woken()).await.is_err() {
                is_last = Instant::now() >= end;
                Box::pin(self.members.join()).await;
            }
        }
    }
}

/// A poll that waits; when the client goes away it does not any more.
struct Waiting<'w> {
    streams: &'w Streams,
    subject: &'w Subject,
    waiter: Arc<Waiter>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.streams.forget(self.subject, &self.waiter);
    }
}

/// The answer to a poll.
fn write(set: &KeySet, subject: &Subject, cursor: u64, found: &[(Arc<Entry>, usize)]) -> String {
    let mut text = format!(r#"{{"t":{{"t":"{cursor}","r":1}},"m":["#);
    for (index, (entry, by)) in found.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(r#"{"a":"1","f":0,"k":"#);
        text.push_str(&quote(set.subscribe_key()));
        text.push(',');
        let wanted = &subject.names[*by];
        // A message that was found by its own name says nothing of it: the SDKs would take it for a group.
        if wanted.presence || !matches!(wanted.at, At::Channel(_)) {
            text.push_str(r#""b":"#);
            text.push_str(&quote(&wanted.shown));
            text.push(',');
        }
        let channel = entry.channel.as_str();
        let written = entry.written(set.unqualify(channel).unwrap_or(channel));
        // Written as a text.
        text.push_str(std::str::from_utf8(written).unwrap_or_default());
    }
    text.push_str("]}");
    text
}

/// Where a client is present by a poll.
struct Members<'m> {
    call: &'m Call<'m>,
    timeout: Option<Duration>,
    is_handshake: bool,
    /// Where it is to be, with the state that it is to have.
    wanted: Vec<(Channel, Option<JsonText>)>,
    /// Where it is as long as the poll is open, and for its time afterwards.
    held: Vec<Channel>,
}

impl<'m> Members<'m> {
    fn of(
        call: &'m Call<'m>,
        streams: &Streams,
        subject: &Subject,
        timeout: Option<Duration>,
        states: &States,
        is_handshake: bool,
    ) -> Self {
        let mut wanted = Vec::new();
        if call.shared.settings.presence && call.caller.client().is_some() {
            for name in subject.names.iter().filter(|name| !name.presence) {
                let state = states.of(&name.shown);
                match &name.at {
                    At::Channel(channel) => wanted.push((channel.clone(), state)),
                    At::Group(group) => {
                        let channels = streams.group(group).into_iter();
                        wanted.extend(channels.map(|channel| (channel, state.clone())));
                    }
                    // A pattern is no place to be.
                    At::Below(_) => {}
                }
            }
        }
        Self {
            call,
            timeout,
            is_handshake,
            wanted,
            held: Vec::new(),
        }
    }

    /// A sign of life everywhere, but where the client has just left: a poll that was on its way then must
    /// not bring it back.
    async fn join(&mut self) {
        let Some(client) = self.call.caller.client() else {
            return;
        };
        let leaves = &self.call.shared.leaves;
        let mut later = Vec::new();
        for (channel, state) in std::mem::take(&mut self.wanted) {
            if !self.is_handshake && leaves.get(&channel, client).is_some() {
                later.push((channel, state));
                continue;
            }
            touch(self.call, &channel, client, self.timeout, state).await;
            if !self.is_handshake && self.call.space().presence().hold(&channel, client) {
                self.held.push(channel);
            }
        }
        self.wanted = later;
    }

    /// The cursor from before the client came, where it came just now.
    fn before(&self, cursor: u64) -> u64 {
        let Some(client) = self.call.caller.client() else {
            return cursor;
        };
        let joins = &self.call.shared.joins;
        let joins = self
            .wanted
            .iter()
            .filter_map(|(channel, _)| joins.get(channel, client));
        joins.map(|(_, before)| before).fold(cursor, u64::min)
    }

    /// When to try again where the client has just left.
    fn later(&self) -> Option<Instant> {
        let (channel, _) = self.wanted.first()?;
        let leaves = &self.call.shared.leaves;
        let grace = leaves.get(channel, self.call.caller.client()?);
        Some(grace.map_or_else(Instant::now, |(end, ())| end))
    }
}

impl Drop for Members<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.call.caller.client() {
            for channel in &self.held {
                self.call.space().presence().release(channel, client);
            }
        }
    }
}

/// A sign of life on one channel. True when the client came by it.
pub(crate) async fn touch(
    call: &Call<'_>,
    channel: &Channel,
    client: &ClientId,
    timeout: Option<Duration>,
    state: Option<JsonText>,
) -> bool {
    let (space, settings) = (call.space(), &call.shared.settings);
    let timeout = timeout
        .or_else(|| space.presence().timeout(channel, client))
        .unwrap_or(settings.presence_timeout);
    let origin = &call.caller.origin;
    space.touch(origin, channel, client, timeout, state).await
}
