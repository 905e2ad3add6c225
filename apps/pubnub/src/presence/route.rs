//! Routes of presence.

use http::Method;
use polywire_core::http::Answer;

use super::{heartbeat, here_now, leave, state};
use crate::{call::Call, reply, service};

/// Everything below `/v2/presence/sub-key/{key}`.
pub(crate) async fn route(call: &Call<'_>, path: &[&str]) -> Result<Answer, reply::Refused> {
    if call.request.method != Method::GET {
        return Err(reply::method_not_allowed("GET"));
    }
    match path {
        ["channel", channels, "heartbeat"] => heartbeat::heartbeat(call, channels).await,
        ["channel", channels, "leave"] => leave::leave(call, channels).await,
        ["channel", channels, "uuid", uuid, "data"] => state::set_state(call, channels, uuid).await,
        ["channel", channels, "uuid", uuid] => state::state(call, channels, uuid).await,
        ["channel", channels] => here_now::here_now(call, channels).await,
        [] | [""] => here_now::everywhere(call).await,
        ["uuid", uuid] => here_now::where_now(call, uuid),
        _ => Err(reply::not_found(service::PRESENCE)),
    }
}
