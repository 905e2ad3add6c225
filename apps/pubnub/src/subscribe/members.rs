//! Members by a poll: where a client is present as long as its poll is open, and for its time afterwards.

use std::time::Duration;

use polywire_core::{Channel, JsonText, space::Lease};
use tokio::time::Instant;

use super::request::SubscribeRequest;
use crate::{call::Call, presence::stay, stream::Streams, subscribe_set::Location};

/// Where a client is present by a poll.
pub(super) struct Members<'m> {
    call: &'m Call<'m>,
    stay: Lease,
    /// Which of its instances it is.
    instance: Option<&'m str>,
    /// Where it is to be, with the state that it is to have.
    wanted: Vec<(Channel, Option<JsonText>)>,
    /// Where it is as long as the poll is open, and for its time afterwards.
    held: Vec<Channel>,
}

impl<'m> Members<'m> {
    /// Nowhere yet. Whoever shakes hands is only seen; whoever polls is held.
    pub(super) fn of(
        call: &'m Call<'m>,
        streams: &Streams,
        request: &'m SubscribeRequest,
        is_handshake: bool,
    ) -> Self {
        let mut wanted = Vec::new();
        if call.context.settings.presence && call.caller.client().is_some() {
            for target in request.set.targets.iter().filter(|target| !target.presence) {
                let state = request.states.of(&target.shown);
                match &target.location {
                    Location::Channel(channel) => wanted.push((channel.clone(), state)),
                    Location::Group(group) => {
                        let channels = streams.group(group).into_iter();
                        wanted.extend(channels.map(|channel| (channel, state.clone())));
                    }
                    // A pattern is no place to be.
                    Location::Below(_) => {}
                }
            }
        }
        Self {
            call,
            stay: Lease {
                is_held: !is_handshake,
                ..stay(&call.context.settings, request.timeout)
            },
            instance: request.instance.as_deref(),
            wanted,
            held: Vec::new(),
        }
    }

    /// A sign of life everywhere, but where the client has just left: a poll that was on its way then must
    /// not bring it back.
    pub(super) async fn join(&mut self) {
        let Some(client) = self.call.caller.client() else {
            return;
        };
        let owner = self.call.member_owner();
        let mut later = Vec::new();
        for (channel, state) in std::mem::take(&mut self.wanted) {
            if self.stay.is_held && self.call.context.leaves.get(&channel, client).is_some() {
                later.push((channel, state));
                continue;
            }
            if !self.call.counts_as(&channel, client) {
                continue;
            }
            let (space, origin) = (self.call.space(), &self.call.caller.origin);
            let outcome = space.touch(origin, &channel, client, self.stay, &owner, state);
            if let Some(id) = self.instance {
                let (instances, lease) = (&self.call.context.instances, self.lease());
                if outcome.is_held {
                    instances.hold(&channel, client, id, lease);
                } else {
                    instances.touch(&channel, client, id, lease);
                }
            }
            if outcome.is_held {
                self.held.push(channel.clone());
            }
            // What is held is released wherever this ends.
            space.touched(origin, &channel, outcome).await;
        }
        self.wanted = later;
    }

    /// How long its signs of life count.
    fn lease(&self) -> Duration {
        self.stay.timeout.unwrap_or(self.stay.otherwise)
    }

    /// The cursor from before the client came, where it came just now.
    pub(super) fn before(&self, cursor: u64) -> u64 {
        let Some(client) = self.call.caller.client() else {
            return cursor;
        };
        let joins = &self.call.context.joins;
        let joins = self
            .wanted
            .iter()
            .filter_map(|(channel, _)| joins.get(channel, client));
        joins.map(|(_, before)| before).fold(cursor, u64::min)
    }

    /// When to try again where the client has just left.
    pub(super) fn later(&self) -> Option<Instant> {
        let (channel, _) = self.wanted.first()?;
        let grace = self
            .call
            .context
            .leaves
            .get(channel, self.call.caller.client()?);
        Some(grace.map_or_else(Instant::now, |(end, ())| end))
    }
}

impl Drop for Members<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.call.caller.client() {
            for channel in &self.held {
                self.call.context.space.presence().release(channel, client);
                if let Some(id) = self.instance {
                    let instances = &self.call.context.instances;
                    instances.release(channel, client, id, self.lease());
                }
            }
        }
    }
}
