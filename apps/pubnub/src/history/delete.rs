//! Deletion of messages from history.

use http::StatusCode;
use polywire_core::{Span, Timetoken, http::Answer, space::Action};

use super::request::{failed, number, one_channel, store};
use crate::{
    call::Call,
    reply::{self, Refused},
    service,
};

/// `DELETE /v3/history/sub-key/{key}/channel/{channel}`: what is newer than `start` and not newer than `end`.
pub(super) async fn delete(call: &Call<'_>, channel: &str) -> Result<Answer, Refused> {
    let channel = one_channel(call, channel, |channel| Action::DeleteHistory(channel))?;
    if !call.set.deletes_history() {
        return Err(reply::error(
            StatusCode::FORBIDDEN,
            service::HISTORY,
            "Messages are not deleted here: set delete_history for the key set.",
        ));
    }
    let start = number(call, "start")?.map(Timetoken);
    let to = number(call, "end")?.map_or(Span::ALL.to, Timetoken);
    let span = start.map_or(Span::ALL, Span::after);
    let span = span.and(Span { to, ..Span::ALL });
    let deleted = store(call)?.delete(&channel.clone().into(), span).await;
    deleted.map_err(|error| failed(&error))?;
    call.space()
        .audit(&call.caller.origin, Action::DeleteHistory(&channel));
    Ok(reply::ok(
        r#"{"status":200,"error":false,"error_message":""}"#,
    ))
}
