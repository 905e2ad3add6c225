//! Joining and leaving: what a live connection is on, in the hub, in presence, and for other nodes.

use std::sync::Arc;

use super::{
    Space,
    live::{Joined, LiveConnection},
};
use crate::{
    channel::Channel, delivery::Receiver, hub::JoinNumber, identity::Identity, interest::Interest,
    pattern::Pattern, presence::MemberOwner,
};

impl Space {
    /// Joins a channel by these rights, or by nobody's; false when it was joined already, or the rights have ended.
    pub(super) fn join(
        &self,
        live: &LiveConnection,
        identity: Option<&Arc<Identity>>,
        channel: &Channel,
        receiver: Arc<dyn Receiver>,
    ) -> bool {
        live.change(|joined| {
            let Err(place) = joined.find(channel) else {
                return false;
            };
            if joined.has_ended {
                return false;
            }
            let number = self.hub.join(&Interest::Channel(channel.clone()), receiver);
            if joined.channels.capacity() == 0 {
                joined.channels.reserve_exact(1);
            }
            joined.channels.insert(place, (channel.clone(), number));
            if let Some(identity) = identity {
                joined.rests_on(identity);
            }
            if let Some((client, _)) = &joined.client {
                let owner = MemberOwner {
                    peer: live.peer(),
                    ..MemberOwner::default()
                };
                self.presence.join(channel, client, &owner);
                if joined.proves(client) {
                    self.presence.prove(channel, client);
                }
            }
            true
        })
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
            let (channel, number) = joined.channels.remove(place);
            self.leave_joined(joined, &channel, number);
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
            for (channel, number) in std::mem::take(&mut joined.channels) {
                self.leave_joined(joined, &channel, number);
            }
            for (pattern, number) in std::mem::take(&mut joined.patterns) {
                self.leave_interest(&Interest::Pattern(pattern), number);
            }
            self.leave_client_of(joined);
        });
    }

    fn leave_client_of(&self, joined: &mut Joined) {
        let Some((client, number)) = joined.client.take() else {
            return;
        };
        for (channel, _) in &joined.channels {
            self.presence.leave(channel, &client);
        }
        if let Some(number) = number {
            self.leave_interest(&Interest::Client(client), number);
        }
    }

    fn leave_joined(&self, joined: &Joined, channel: &Channel, number: JoinNumber) {
        self.leave_interest(&Interest::Channel(channel.clone()), number);
        if let Some((client, _)) = &joined.client {
            self.presence.leave(channel, client);
        }
    }

    fn leave_interest(&self, interest: &Interest, number: JoinNumber) {
        if self.hub.leave(interest, number) {
            self.backend.unsubscribe(interest);
        }
    }
}
