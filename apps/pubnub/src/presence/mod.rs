//! Who is there: heartbeats, leaving, state, and lists of members.

mod calls;
mod here;
mod recent;
mod states;

pub(crate) use self::{recent::Recent, states::States};

use http::Method;
use polywire_core::http::Answer;

use crate::{reply, route::Call};

pub(crate) const SERVICE: &str = "Presence";

/// Everything below `/v2/presence/sub-key/{key}`.
pub(crate) async fn route(call: &Call<'_>, path: &[&str]) -> Result<Answer, reply::Refused> {
    if call.request.method != Method::GET {
        return Err(reply::method_not_allowed("GET"));
    }
    call.caller.check_known()?;
    match path {
        ["channel", channels, "heartbeat"] => calls::heartbeat(call, channels).await,
        ["channel", channels, "leave"] => calls::leave(call, channels).await,
        ["channel", channels, "uuid", uuid, "data"] => calls::set_state(call, channels, uuid).await,
        ["channel", channels, "uuid", uuid] => calls::state(call, channels, uuid).await,
        ["channel", channels] => here::now(call, channels).await,
        [] | [""] => here::everywhere(call).await,
        ["uuid", uuid] => here::where_now(call, uuid),
        _ => Err(reply::not_found(SERVICE)),
    }
}
