//! A call of the API: a request whose key set is known and whose sender was let in.

use std::sync::Arc;

use polywire_core::{Channel, ClientId, Space, http::Request, space::MemberOwner};

use crate::{
    access::Caller,
    context::Context,
    keys::KeySet,
    query::Query,
    reply::{self, Forbidden, Refused},
    subscribe_set::{Location, Purpose, SubscribeSet},
};

/// A request whose key set is known and whose sender was let in.
pub(crate) struct Call<'c> {
    pub(crate) context: &'c Context,
    pub(crate) set: &'c KeySet,
    pub(crate) caller: Caller,
    pub(crate) query: Query<'c>,
    pub(crate) request: &'c mut Request,
}

impl<'c> Call<'c> {
    /// Finds the key set of a request, and who asks; `body` is what a signature covers of it.
    pub(crate) async fn admit(
        context: &'c Context,
        request: &'c mut Request,
        query: Query<'c>,
        key: &str,
        body: &[u8],
        service: &str,
    ) -> Result<Self, Refused> {
        let Some(set) = context.keys.find(key) else {
            return Err(reply::invalid_subscribe_key());
        };
        let caller = context.admit(set, request, &query, body, service).await?;
        Ok(Self {
            context,
            set,
            caller,
            query,
            request,
        })
    }

    /// On whose behalf its client is present.
    pub(crate) fn member_owner(&self) -> MemberOwner {
        MemberOwner {
            tenant: self.set.tenant().cloned(),
            ..MemberOwner::from(&self.caller.origin)
        }
    }

    /// Refuses a call with all names in it that its sender may not do this with.
    pub(crate) fn authorize(
        &self,
        names: &SubscribeSet,
        purpose: Purpose,
        service: &str,
    ) -> Result<(), Refused> {
        let mut forbidden = Forbidden::default();
        for target in &names.targets {
            let judged = target.authorize(self.space(), &self.caller, purpose);
            match target.location {
                Location::Group(_) => forbidden.group(judged, &target.shown, service)?,
                _ => forbidden.channel(judged, &target.shown, service)?,
            }
        }
        forbidden.check()
    }

    /// True when its client may be present on a channel, as whoever it says to be.
    pub(crate) fn counts_as(&self, channel: &Channel, client: &ClientId) -> bool {
        self.space().counts_as(&self.caller.origin, channel, client)
    }

    pub(crate) fn space(&self) -> &Arc<Space> {
        &self.context.space
    }
}
