//! Requests to history: the store, the channels and the parameters that they name, and what is answered when it fails.

use http::StatusCode;
use polywire_core::{
    Channel, History, HistoryError, Page, Query, Refusal, Stored,
    space::{Action, HistoryRead},
};

use crate::{
    call::Call,
    reply::{self, Forbidden, Refused},
    service,
    text::decode,
};

/// Bytes of an answer around a message, and around an action, about.
const AROUND_BYTES: usize = 256;

pub(super) fn bad(message: &str) -> Refused {
    reply::bad_request(service::HISTORY, message)
}

/// The store, where there is one that can be read.
pub(super) fn store<'c>(call: &'c Call<'_>) -> Result<&'c dyn History, Refused> {
    let history = call.space().history();
    history.ok_or_else(|| bad("No history is kept here: start the server with --persistence."))
}

/// The channels that are called so, if the caller may do this with each.
pub(super) fn channels(
    call: &Call<'_>,
    names: &[String],
    action: impl for<'c> Fn(&'c Channel) -> Action<'c>,
) -> Result<Vec<Channel>, Refused> {
    let (mut channels, mut forbidden) = (Vec::new(), Forbidden::default());
    for name in names {
        let channel = call.set.channel(name);
        let channel = channel.ok_or_else(|| bad("Invalid Channel"))?;
        let judged = call
            .space()
            .authorize(&call.caller.origin, action(&channel));
        forbidden.channel(judged, name, service::HISTORY)?;
        channels.push(channel);
    }
    forbidden.check()?;
    Ok(channels)
}

/// The one channel of a path.
pub(super) fn one_channel(
    call: &Call<'_>,
    raw: &str,
    action: impl for<'c> Fn(&'c Channel) -> Action<'c>,
) -> Result<Channel, Refused> {
    let invalid = || bad("Invalid Channel");
    let name = decode(raw).ok_or_else(invalid)?.into_owned();
    if name.contains(',') {
        return Err(bad("Name one channel here; no name has a comma."));
    }
    let mut channels = channels(call, &[name], action)?;
    channels.pop().ok_or_else(invalid)
}

/// A page of a channel's history, which is held until the answer is written.
pub(super) async fn read(
    call: &Call<'_>,
    reading: &mut HistoryRead,
    channel: Channel,
    query: &Query,
) -> Result<Page, Refused> {
    let page = store(call)?.read(&channel.into(), query).await;
    let page = page.map_err(|error| failed(&error))?;
    reading.hold(bytes(&page)).await.map_err(busy)?;
    Ok(page)
}

/// Bytes that a page takes in an answer, about.
fn bytes(page: &Page) -> usize {
    let of = |stored: &Stored| {
        AROUND_BYTES * (1 + stored.annotations.len()) + stored.publication.bytes()
    };
    page.entries.iter().map(of).sum()
}

/// Waits for a turn to read.
pub(super) async fn begin(call: &Call<'_>) -> Result<HistoryRead, Refused> {
    let reads = call.space().history_reads();
    reads.begin(&call.caller.origin).await.map_err(busy)
}

/// Too much history is being read.
fn busy(refusal: Refusal) -> Refused {
    reply::error(
        StatusCode::SERVICE_UNAVAILABLE,
        service::HISTORY,
        &refusal.message,
    )
}

/// A number in the query.
pub(super) fn number(call: &Call<'_>, name: &str) -> Result<Option<u64>, Refused> {
    let invalid = || bad(&format!("Invalid {name}: it must be a number."));
    match call.query.get(name).ok_or_else(invalid)?.as_deref() {
        None | Some("") => Ok(None),
        Some(digits) => digits.parse().map(Some).map_err(|_| invalid()),
    }
}

/// What a store answers that could not do it.
pub(super) fn failed(error: &HistoryError) -> Refused {
    match error {
        HistoryError::NotKept => bad("No history is kept for this channel."),
        error => {
            let cause = error as &dyn std::error::Error;
            tracing::warn!(error = cause, "history could not be read or changed");
            let message = "History cannot be read or changed now; try again later.";
            reply::error(StatusCode::SERVICE_UNAVAILABLE, service::HISTORY, message)
        }
    }
}
