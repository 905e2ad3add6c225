//! Joining and leaving: what a live connection is on, in the hub, in presence, and for other nodes.

use std::sync::Arc;

use super::{
    Space,
    live::{Joined, JoinedChannel, JoinedClient, LiveConnection},
};
use crate::{
    channel::Channel,
    delivery::Receiver,
    hub::JoinNumber,
    identity::Identity,
    interest::Interest,
    pattern::Pattern,
    presence::{Coming, MemberOwner},
    publication::PresenceAction,
};

/// Channels of a connection for which there is no more room than they take.
const CHANNELS_EXACT: usize = 2;

impl Space {
    /// Joins a channel by these rights, or by nobody's; false when it was joined already, or the rights have ended. The
    /// members are told that its client came in this way.
    pub(super) fn join(
        &self,
        live: &LiveConnection,
        identity: Option<&Arc<Identity>>,
        channel: &Channel,
        receiver: Arc<dyn Receiver>,
        by: PresenceAction,
    ) -> bool {
        live.change(|joined| {
            let Err(place) = joined.find(channel) else {
                return false;
            };
            if joined.has_ended {
                return false;
            }
            let number = self.hub.join(&Interest::Channel(channel.clone()), receiver);
            if joined.channels.len() < CHANNELS_EXACT {
                // Most connections are on one or two; a vector that grows by itself has room for four.
                joined.channels.reserve_exact(1);
            }
            if let Some(identity) = identity {
                joined.rests_on(identity);
            }
            let client = joined.client.as_ref();
            let is_present =
                client.is_some_and(|client| self.attend(live, joined, client, channel, by));
            let joined_channel = JoinedChannel {
                channel: channel.clone(),
                number,
                is_present,
            };
            joined.channels.insert(place, joined_channel);
            true
        })
    }

    /// Makes the client of a connection present on a channel. False when it does not count there: there is no room, it is
    /// no place to be, or somebody else has proven to be that client.
    fn attend(
        &self,
        live: &LiveConnection,
        joined: &Joined,
        client: &JoinedClient,
        channel: &Channel,
        by: PresenceAction,
    ) -> bool {
        if !(client.is_place)(channel) {
            return false;
        }
        let JoinedClient { client, state, .. } = client;
        let is_proven = joined.proves(client);
        if !self.counts("server", is_proven, channel, client) {
            return false;
        }
        let owner = MemberOwner {
            peer: live.peer(),
            ..MemberOwner::default()
        };
        let coming = Coming::of(&owner).by(by).proven(is_proven);
        let coming = coming.with_default(state.as_deref().cloned());
        self.presence.attach(channel, client, coming).counts
    }

    /// From now on a connection is this client, where it was none: present on what it has joined and joins.
    pub(super) fn be_client(&self, live: &LiveConnection, client: JoinedClient) {
        live.change(|joined| {
            let mut channels = std::mem::take(&mut joined.channels);
            for on in &mut channels {
                let by = PresenceAction::Join;
                on.is_present |= self.attend(live, joined, &client, &on.channel, by);
            }
            joined.channels = channels;
            joined.client = Some(client);
        });
    }

    /// Joins a pattern; false when it was joined already, or the rights have ended.
    pub(super) fn join_pattern(
        &self,
        live: &LiveConnection,
        identity: &Arc<Identity>,
        pattern: Pattern,
    ) -> bool {
        live.change(|joined| {
            let Err(place) = joined.find_pattern(&pattern) else {
                return false;
            };
            if joined.has_ended {
                return false;
            }
            let interest = Interest::Pattern(pattern.clone());
            let number = self.hub.join(&interest, live.receiver().clone());
            joined.patterns.insert(place, (pattern, number));
            joined.rests_on(identity);
            true
        })
    }

    /// Leaves a channel; false when it was not joined.
    pub(super) fn leave_channel(&self, live: &LiveConnection, channel: &Channel) -> bool {
        live.change(|joined| {
            let Ok(place) = joined.find(channel) else {
                return false;
            };
            let left = joined.channels.remove(place);
            self.leave_joined(joined, &left, PresenceAction::Leave);
            true
        })
    }

    /// Leaves a pattern; false when it was not joined.
    pub(super) fn leave_pattern(&self, live: &LiveConnection, pattern: &Pattern) -> bool {
        live.change(|joined| {
            let Ok(place) = joined.find_pattern(pattern) else {
                return false;
            };
            let (pattern, number) = joined.patterns.remove(place);
            self.leave_interest(&Interest::Pattern(pattern), number);
            true
        })
    }

    /// Gives up who it is.
    pub(super) fn leave_client(&self, live: &LiveConnection) {
        live.change(|joined| self.leave_client_of(joined));
    }

    pub(super) fn leave_everything(&self, live: &LiveConnection) {
        live.change(|joined| {
            for left in std::mem::take(&mut joined.channels) {
                self.leave_joined(joined, &left, PresenceAction::Disconnect);
            }
            for (pattern, number) in std::mem::take(&mut joined.patterns) {
                self.leave_interest(&Interest::Pattern(pattern), number);
            }
            self.leave_client_of(joined);
        });
    }

    fn leave_client_of(&self, joined: &mut Joined) {
        let Some(JoinedClient { client, number, .. }) = joined.client.take() else {
            return;
        };
        for on in &mut joined.channels {
            if std::mem::take(&mut on.is_present) {
                let by = PresenceAction::Disconnect;
                self.presence.detach(&on.channel, &client, by);
            }
        }
        if let Some(number) = number {
            self.leave_interest(&Interest::Client(client), number);
        }
    }

    fn leave_joined(&self, joined: &Joined, left: &JoinedChannel, by: PresenceAction) {
        self.leave_interest(&Interest::Channel(left.channel.clone()), left.number);
        if let Some(JoinedClient { client, .. }) = joined.client.as_ref()
            && left.is_present
        {
            self.presence.detach(&left.channel, client, by);
        }
    }

    fn leave_interest(&self, interest: &Interest, number: JoinNumber) {
        if self.hub.leave(interest, number) {
            self.backend.unsubscribe(interest);
        }
    }
}
