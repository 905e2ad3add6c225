//! Deletion of messages from history.

use polywire_core::{Span, Timetoken, http::Answer};

use super::request::{failed, number, one_channel, store};
use crate::{
    access::bits,
    call::Call,
    reply::{self, Refused},
};

/// `DELETE /v3/history/sub-key/{key}/channel/{channel}`: what is newer than `start` and not newer than `end`.
pub(super) async fn delete(call: &Call<'_>, channel: &str) -> Result<Answer, Refused> {
    let (channel, _) = one_channel(call, channel, bits::DELETE)?;
    let start = number(call, "start")?.map(Timetoken);
    let to = number(call, "end")?.map_or(Span::ALL.to, Timetoken);
    let span = start.map_or(Span::ALL, Span::after);
    let span = span.and(Span { to, ..Span::ALL });
    let deleted = store(call)?.delete(&channel.into(), span).await;
    deleted.map_err(|error| failed(&error))?;
    Ok(reply::ok(
        r#"{"status":200,"error":false,"error_message":""}"#,
    ))
}
