//! The request of a subscribe: what it names, from which cursor on, and what it says of its client.

use std::{sync::Arc, time::Duration};

use crate::{
    call::Call,
    filter::{Filter, InvalidFilter},
    instances::instance_id,
    names::BadName,
    presence::{States, parse_timeout},
    reply, service,
    subscribe_set::SubscribeSet,
};

const FILTER_PROBLEM: &str = "Filter syntax error";
const TOO_DEAR: &str = "The filter looks for too much in every message: use fewer LIKE and CONTAINS, with fewer wildcards.";

/// A version of subscribe; the answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    First,
    Second,
}

/// What a subscribe asks for.
pub(crate) struct SubscribeRequest {
    pub(super) version: Version,
    pub(super) set: SubscribeSet,
    /// The cursor; 0 for a handshake.
    pub(super) after: u64,
    /// How long the client wants to count as present.
    pub(super) timeout: Option<Duration>,
    /// Which of the instances of the client asks, where they are told apart.
    pub(super) instance: Option<Box<str>>,
    pub(super) states: States,
    pub(super) filter: Option<Arc<Filter>>,
}

impl SubscribeRequest {
    /// Reads a subscribe of these channels; the first version has its cursor in the path.
    pub(crate) fn parse(
        call: &Call<'_>,
        channels: &str,
        cursor: Option<&str>,
    ) -> Result<Self, reply::Refused> {
        let bad = |message| reply::bad_request(service::SUBSCRIBE, message);
        let query = &call.query;
        let value = |name, problem| query.get(name).ok_or_else(|| bad(problem));
        let groups = value("channel-group", "Invalid Channel Group")?.unwrap_or_default();
        let set = SubscribeSet::parse(call.set, channels, &groups);
        let set = set.map_err(|error| {
            bad(match error {
                BadName::Encoding => "A channel name is not valid UTF-8.",
                BadName::Invalid => "Invalid Channel",
            })
        })?;
        let version = cursor.map_or(Version::Second, |_| Version::First);
        let shown = value("tt", "Invalid Timetoken")?;
        let after = match cursor.or(shown.as_deref()) {
            None | Some("") => 0,
            Some(digits) => digits.parse().map_err(|_| bad("Invalid Timetoken"))?,
        };
        let timeout = value("heartbeat", "Invalid Heartbeat")?;
        let timeout = parse_timeout(timeout.as_deref()).map_err(|()| bad("Invalid Heartbeat"))?;
        let states = States::parse(query).map_err(bad)?;
        let filter = match value("filter-expr", FILTER_PROBLEM)? {
            Some(text) if !text.is_empty() => {
                let filter = call.context.filters.get(&text);
                Some(filter.map_err(|error| match error {
                    InvalidFilter::Syntax => bad(FILTER_PROBLEM),
                    InvalidFilter::TooDear => {
                        let counters = call.space().runtime().counters();
                        counters.of("pubnub", "filter too dear").add();
                        bad(TOO_DEAR)
                    }
                })?)
            }
            _ => None,
        };
        Ok(Self {
            version,
            set,
            after,
            timeout,
            instance: instance_id(query),
            states,
            filter,
        })
    }
}
