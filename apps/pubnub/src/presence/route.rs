//! Routes of presence.

use http::Method;
use polywire_core::http::Answer;

use super::{calls, here_now};
use crate::{call::Call, reply, service};

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
        ["channel", channels] => here_now::here_now(call, channels).await,
        [] | [""] => here_now::everywhere(call).await,
        ["uuid", uuid] => here_now::where_now(call, uuid),
        _ => Err(reply::not_found(service::PRESENCE)),
    }
}
