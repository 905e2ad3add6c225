//! Leave: a client goes from its channels.

use polywire_core::http::Answer;

use super::named::{named_for, places};
use crate::{call::Call, reply, subscribe_set::Purpose};

/// `GET …/channel/{channels}/leave`
pub(super) async fn leave(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let subscribe_set = named_for(call, channels, Purpose::Subscribe)?;
    if let Some(client) = call.caller.client() {
        for (channel, _) in places(call, &subscribe_set).await {
            call.context.leaves.note(&channel, client, ());
            call.space()
                .leave(&call.caller.origin, &channel, client)
                .await;
        }
    }
    Ok(reply::ok(
        r#"{"status":200,"message":"OK","action":"leave","service":"Presence"}"#,
    ))
}
