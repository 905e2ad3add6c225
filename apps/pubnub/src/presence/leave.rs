//! Leave: a client goes from its channels.

use polywire_core::{http::Answer, space::Action};

use super::named::{named, places};
use crate::{
    call::Call,
    instances::instance_id,
    reply::{self, Forbidden},
    service,
    subscribe_set::Purpose,
};

/// `GET …/channel/{channels}/leave`
pub(super) async fn leave(call: &Call<'_>, channels: &str) -> Result<Answer, reply::Refused> {
    let mut subscribe_set = named(call, channels)?;
    let judged = call.authorize(&subscribe_set, Purpose::Subscribe, service::PRESENCE);
    if let Err(refused) = judged {
        // From where its rights have ended nobody is kept from leaving the rest.
        let space = call.space();
        subscribe_set.targets.retain(|target| {
            let judged = target.authorize(space, &call.caller, Purpose::Subscribe);
            judged.is_ok()
        });
        if subscribe_set.targets.is_empty() {
            return Err(refused);
        }
    }
    if let Some(client) = call.caller.client() {
        let instance = instance_id(&call.query);
        let (space, origin) = (call.space(), &call.caller.origin);
        let places = places(call, &subscribe_set).await;
        let mut forbidden = Forbidden::default();
        for (channel, name) in &places {
            let judged = space.authorize(origin, Action::ActAs(channel, client));
            if judged.is_err() {
                forbidden.channel(judged, name, service::PRESENCE)?;
                continue;
            }
            call.context.leaves.note(channel, client, ());
            let instance = instance.as_deref();
            let (instances, elsewhere) = (&call.context.instances, &call.context.instance_cluster);
            if instances.leave(channel, client, instance)
                && !elsewhere.leave(space, channel, client, instance).await
            {
                space.leave(origin, channel, client).await;
            }
        }
        forbidden.check()?;
    }
    Ok(reply::ok(
        r#"{"status":200,"message":"OK","action":"leave","service":"Presence"}"#,
    ))
}
