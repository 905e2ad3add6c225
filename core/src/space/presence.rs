//! Who is present on which channel.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::present::{Entry, Present};
use crate::{channel::Channel, identity::ClientId, publication::JsonText};

/// Clients that are present on channels of this node, with their state.
///
/// A client is present while one of its connections is on the channel, or until the time-out of its last
/// sign of life, where its protocol has no connections. It is a plain table: whoever changes it announces
/// the change.
#[derive(Debug)]
pub struct Presence {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

/// Locks among which the channels are spread, so that joins of different channels rarely meet.
const SHARDS: usize = 32;

type Shard = Mutex<HashMap<Channel, Present, RandomState>>;

/// A client that is present on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub client: ClientId,
    /// What the client says about itself.
    pub state: Option<JsonText>,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::default(),
        }
    }
}

impl Presence {
    fn shard(&self, channel: &Channel) -> &Shard {
        let hash = self.hasher.hash_one(channel);
        &self.shards[(hash >> 57) as usize % SHARDS]
    }

    /// A connection of `client` joined. True when the client was not present before.
    pub fn join(&self, channel: &Channel, client: &ClientId) -> bool {
        self.change(channel, client, |entry| entry.connections += 1)
    }

    /// A connection of `client` left. True when the client is not present any more.
    pub fn leave(&self, channel: &Channel, client: &ClientId) -> bool {
        let mut channels = self.shard(channel).lock();
        let Some(present) = channels.get_mut(channel) else {
            return false;
        };
        let Some(entry) = present.get_mut(client) else {
            return false;
        };
        entry.connections = entry.connections.saturating_sub(1);
        if entry.connections > 0 || entry.expires_at.is_some() {
            return false;
        }
        present.remove(client);
        if present.len() == 0 {
            channels.remove(channel);
        }
        true
    }

    /// A sign of life of a client without a connection: it is present until `timeout` has passed without
    /// another. True when the client was not present before.
    pub fn touch(&self, channel: &Channel, client: &ClientId, timeout: Duration) -> bool {
        let expires_at = Instant::now() + timeout;
        self.change(channel, client, |entry| entry.expires_at = Some(expires_at))
    }

    /// Removes a client, however many connections it has. True when it was present.
    pub fn remove(&self, channel: &Channel, client: &ClientId) -> bool {
        let mut channels = self.shard(channel).lock();
        let Some(present) = channels.get_mut(channel) else {
            return false;
        };
        let removed = present.remove(client).is_some();
        if present.len() == 0 {
            channels.remove(channel);
        }
        removed
    }

    /// Sets the state of a present client. False when it is not present.
    pub fn set_state(&self, channel: &Channel, client: &ClientId, state: Option<JsonText>) -> bool {
        let mut channels = self.shard(channel).lock();
        let entry = channels
            .get_mut(channel)
            .and_then(|present| present.get_mut(client));
        entry
            .map(|entry| entry.state = state.map(Box::new))
            .is_some()
    }

    /// The clients that are present, in the order of their ids.
    pub fn members(&self, channel: &Channel) -> Vec<Member> {
        let channels = self.shard(channel).lock();
        let Some(present) = channels.get(channel) else {
            return Vec::new();
        };
        present
            .iter()
            .map(|(client, entry)| Member {
                client: client.clone(),
                state: entry.state.as_deref().cloned(),
            })
            .collect()
    }

    /// How many clients are present.
    pub fn occupancy(&self, channel: &Channel) -> usize {
        self.shard(channel)
            .lock()
            .get(channel)
            .map_or(0, Present::len)
    }

    /// Removes clients whose time is over, and says which.
    pub fn expire(&self, now: Instant) -> Vec<(Channel, ClientId)> {
        let mut gone = Vec::new();
        for shard in &self.shards {
            shard.lock().retain(|channel, present| {
                present.retain(|client, entry| {
                    let over = entry.expires_at.is_some_and(|end| end <= now);
                    if over {
                        entry.expires_at = None;
                    }
                    if over && entry.connections == 0 {
                        gone.push((channel.clone(), client.clone()));
                        return false;
                    }
                    true
                });
                present.len() > 0
            });
        }
        gone
    }

    fn change(
        &self,
        channel: &Channel,
        client: &ClientId,
        change: impl FnOnce(&mut Entry),
    ) -> bool {
        let mut channels = self.shard(channel).lock();
        let present = channels.entry(channel.clone()).or_default();
        let before = present.len();
        change(present.entry(client));
        present.len() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (Channel, ClientId) {
        (Channel::new("room").unwrap(), ClientId::new("ann").unwrap())
    }

    #[test]
    fn a_client_is_present_while_one_connection_is() {
        let (presence, (room, ann)) = (Presence::default(), names());
        assert!(presence.join(&room, &ann));
        assert!(!presence.join(&room, &ann));
        assert_eq!(presence.occupancy(&room), 1);
        let state = JsonText::of("busy").unwrap();
        assert!(presence.set_state(&room, &ann, Some(state.clone())));
        assert_eq!(
            presence.members(&room),
            [Member {
                client: ann.clone(),
                state: Some(state)
            }]
        );
        assert!(!presence.leave(&room, &ann));
        assert!(presence.leave(&room, &ann));
        assert!(!presence.leave(&room, &ann));
        assert!(
            presence.shards.iter().all(|shard| shard.lock().is_empty()),
            "nothing is kept for empty channels"
        );
    }

    #[test]
    fn a_client_without_connections_times_out() {
        let (presence, (room, ann)) = (Presence::default(), names());
        assert!(presence.touch(&room, &ann, Duration::from_secs(20)));
        assert!(!presence.touch(&room, &ann, Duration::from_secs(30)));
        let now = Instant::now();
        assert!(presence.expire(now + Duration::from_secs(25)).is_empty());
        assert_eq!(
            presence.expire(now + Duration::from_secs(31)),
            [(room.clone(), ann)]
        );
        assert_eq!(presence.occupancy(&room), 0);
    }
}
