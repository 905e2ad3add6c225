//! Routes of history.

use http::Method;
use polywire_core::http::Answer;

use super::{delete, v2, v3};
use crate::{
    call::Call,
    reply::{self, Refused},
    service,
};

/// `GET /v2/history/sub-key/{key}/channel/{channel}`
pub(crate) async fn route_v2(call: &Call<'_>, channel: &str) -> Result<Answer, Refused> {
    only(call, &Method::GET, "GET")?;
    v2::fetch(call, channel).await
}

/// Everything below `/v3/history/sub-key/{key}`, and with actions.
pub(crate) async fn route_v3(
    call: &Call<'_>,
    path: &[&str],
    actions: bool,
) -> Result<Answer, Refused> {
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
        _ => Err(reply::not_found(service::HISTORY)),
    }
}

fn only(call: &Call<'_>, method: &Method, allow: &'static str) -> Result<(), Refused> {
    if call.request.method == *method {
        Ok(())
    } else {
        Err(reply::method_not_allowed(allow))
    }
}
