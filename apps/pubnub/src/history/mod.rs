//! What was published before, as the store keeps it: reading, counting, deleting, message actions.

mod actions;
mod catch_up;
mod delete;
mod item;
mod range;
mod v2;
mod v3;

pub(crate) use self::{actions::route as actions, catch_up::older};

use http::{Method, StatusCode};
use polywire_core::{Channel, History, HistoryError, Permissions, http::Answer};

use crate::{
    access::{Resource, bits},
    reply::{self, Refused},
    route::Call,
    text::{decode, parameter},
};

pub(crate) const SERVICE: &str = "History";

/// `GET /v2/history/sub-key/{key}/channel/{channel}`
pub(crate) async fn v2(call: &Call<'_>, channel: &str) -> Result<Answer, Refused> {
    only(call, &Method::GET, "GET")?;
    v2::fetch(call, channel).await
}

/// Everything below `/v3/history/sub-key/{key}`, and with actions.
pub(crate) async fn v3(call: &Call<'_>, path: &[&str], actions: bool) -> Result<Answer, Refused> {
    match path {
        ["channel", channel] if !actions && call.request.method == Method::DELETE => {
            delete::delete(call, channel).await
        }
        ["channel", channels] => {
            only(call, &Method::GET, "GET, DELETE")?;
            v3::fetch(call, channels, actions).await
        }
        ["message-counts", channels] => {
            only(call, &Method::GET, "GET")?;
            v3::counts(call, channels).await
        }
        _ => Err(reply::not_found(SERVICE)),
    }
}

fn only(call: &Call<'_>, method: &Method, allow: &'static str) -> Result<(), Refused> {
    if call.request.method == *method {
        Ok(())
    } else {
        Err(reply::method_not_allowed(allow))
    }
}

fn bad(message: &str) -> Refused {
    reply::bad_request(SERVICE, message)
}

/// The store, where there is one that can be read.
fn store<'c>(call: &'c Call<'_>) -> Result<&'c dyn History, Refused> {
    let history = call.space().history();
    history.ok_or_else(|| bad("No history is kept here: start the server with --persistence."))
}

/// The channel that is called so, if the caller may do this with its history.
fn channel(call: &Call<'_>, name: &str, bit: u64) -> Result<Channel, Refused> {
    call.caller.check(Resource::Channel(name), bit)?;
    let channel = call.shared.keys.channel(call.set, name);
    let channel = channel.ok_or_else(|| bad("Invalid Channel"))?;
    let limit = call.space().limits().name_bytes_max;
    if channel.as_str().len() > limit {
        return Err(bad(&format!(
            "The channel name is longer than {limit} bytes."
        )));
    }
    let needed = match bit {
        bits::READ => Permissions::HISTORY,
        bits::WRITE => Permissions::WRITE,
        _ => Permissions::MANAGE,
    };
    if !call.caller.origin.identity.allows(needed, &channel) {
        return Err(reply::forbidden("channels", name));
    }
    Ok(channel)
}

/// The one channel of a path.
fn one_channel(call: &Call<'_>, raw: &str, bit: u64) -> Result<(Channel, String), Refused> {
    let name = decode(raw).ok_or_else(|| bad("Invalid Channel"))?;
    Ok((channel(call, &name, bit)?, name.into_owned()))
}

/// A number in the query.
fn number(call: &Call<'_>, name: &str) -> Result<Option<u64>, Refused> {
    let invalid = || bad(&format!("Invalid {name}: it must be a number."));
    match parameter(call.query(), name)
        .ok_or_else(invalid)?
        .as_deref()
    {
        None | Some("") => Ok(None),
        Some(digits) => digits.parse().map(Some).map_err(|_| invalid()),
    }
}

fn is_on(call: &Call<'_>, name: &str) -> bool {
    let value = parameter(call.query(), name).flatten();
    matches!(value.as_deref(), Some("true" | "1"))
}

/// What a store answers that could not do it.
fn failed(error: &HistoryError) -> Refused {
    match error {
        HistoryError::NotKept => bad("No history is kept for this channel."),
        error => {
            let cause = error as &dyn std::error::Error;
            tracing::warn!(error = cause, "history could not be read or changed");
            let message = "History cannot be read or changed now; try again later.";
            reply::error(StatusCode::SERVICE_UNAVAILABLE, SERVICE, message)
        }
    }
}
