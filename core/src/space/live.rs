//! Live connections: those of this node, and what each has joined, so that the server can end them.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::SystemTime,
};

use parking_lot::Mutex;

use crate::{
    channel::Channel,
    delivery::Receiver,
    dispatcher::{Origin, Refusal},
    hub::JoinNumber,
    identity::{ClientId, ConnectionId, Grant, Identity, Permissions, Resource},
    pattern::Pattern,
    publication::JsonText,
};

/// Parts that have a lock each, so that connections come and go at once.
const SHARDS: usize = 64;

/// One connection, or session, of this node.
pub(crate) struct LiveConnection {
    receiver: Arc<dyn Receiver>,
    peer: Option<SocketAddr>,
    joined: Mutex<Joined>,
}

/// What a connection has joined, and by whose rights.
#[derive(Default)]
pub(super) struct Joined {
    /// By name. A map would take several times the memory of the one or two that there mostly are.
    pub(super) channels: Vec<JoinedChannel>,
    /// By what they say.
    pub(super) patterns: Vec<(Pattern, JoinNumber)>,
    /// Who it is.
    pub(super) client: Option<JoinedClient>,
    /// Whose rights what was joined rests on. Nearly always one.
    identities: Vec<Arc<Identity>>,
    /// When the first of these ends, as it was scheduled.
    ends_at: Option<SystemTime>,
    /// Its rights have ended: it joins nothing any more.
    pub(super) has_ended: bool,
}

/// A channel that a connection has joined.
pub(super) struct JoinedChannel {
    pub(super) channel: Channel,
    pub(super) number: JoinNumber,
    /// Its client counts as present there, by this connection.
    pub(super) is_present: bool,
}

/// The client that a connection is.
pub(super) struct JoinedClient {
    pub(super) client: ClientId,
    /// Its place among those who get private messages.
    pub(super) number: Option<JoinNumber>,
    /// What it says about itself where it is present. Boxed: few do.
    pub(super) state: Option<Box<JsonText>>,
    /// Where it is present of what it has joined.
    pub(super) is_place: fn(&Channel) -> bool,
}

impl Joined {
    pub(super) fn is_on(&self, channel: &Channel) -> bool {
        self.find(channel).is_ok()
    }

    pub(super) fn is_on_pattern(&self, pattern: &Pattern) -> bool {
        self.find_pattern(pattern).is_ok()
    }

    /// Where a joined pattern stands, or would stand.
    pub(super) fn find_pattern(&self, pattern: &Pattern) -> Result<usize, usize> {
        self.patterns
            .binary_search_by(|(joined, _)| joined.cmp(pattern))
    }

    /// True when a credential proves that it is this client.
    pub(super) fn proves(&self, client: &ClientId) -> bool {
        let mut proven = self.identities.iter();
        proven.any(|identity| identity.client.as_ref() == Some(client))
    }

    /// Where a joined channel stands, or would stand.
    pub(super) fn find(&self, channel: &Channel) -> Result<usize, usize> {
        self.channels
            .binary_search_by(|joined| joined.channel.cmp(channel))
    }

    /// Refuses a connection that has shown as many credentials as can be kept in mind.
    fn knows_whose(&self, limit: usize) -> Result<(), Refusal> {
        if self.identities.len() > limit {
            return Err(Refusal::limit_exceeded(format!(
                "You have shown {limit} credentials; connect again to show more."
            )));
        }
        Ok(())
    }

    pub(super) fn rests_on(&mut self, identity: &Arc<Identity>) {
        let ends_alone = |grant: &Grant| grant.expires_at.is_some();
        let is_same = |known: &Arc<Identity>| {
            // The same credential may be shown again, and read again: it ends when it did.
            let is_again = identity.credential.is_some()
                && known.credential == identity.credential
                && known.client == identity.client
                && known.issued_at == identity.issued_at
                && known.expires_at == identity.expires_at
                && !known.grants.iter().chain(&identity.grants).any(ends_alone);
            Arc::ptr_eq(known, identity) || is_again
        };
        if !self.identities.iter().any(is_same) {
            self.identities.push(identity.clone());
        }
    }
}

impl LiveConnection {
    pub(super) fn new(origin: &Origin, receiver: Arc<dyn Receiver>) -> Arc<Self> {
        let mut identities = Vec::new();
        identities.reserve_exact(1);
        identities.push(origin.identity.clone());
        Arc::new(Self {
            receiver,
            peer: origin.peer,
            joined: Mutex::new(Joined {
                identities,
                ..Joined::default()
            }),
        })
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    pub(super) fn receiver(&self) -> &Arc<dyn Receiver> {
        &self.receiver
    }

    /// Reads what was joined. Its lock is taken before those of the hub, and by no receiver.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Joined) -> T) -> T {
        look(&self.joined.lock())
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Joined) -> T) -> T {
        change(&mut self.joined.lock())
    }

    /// From now on everything rests on these.
    pub(super) fn rest_on(&self, identities: Vec<Arc<Identity>>) {
        self.joined.lock().identities = identities;
    }

    /// Refuses a connection that has joined as much as it may, but for what it `is_on` already, or whose rights have
    /// ended.
    pub(super) fn has_room(
        &self,
        channels_max: usize,
        credentials_max: usize,
        is_on: impl FnOnce(&Joined) -> bool,
    ) -> Result<(), Refusal> {
        let joined = self.joined.lock();
        if joined.has_ended {
            return Err(Refusal::forbidden("Your rights have ended; connect again."));
        }
        if joined.channels.len() + joined.patterns.len() >= channels_max && !is_on(&joined) {
            return Err(Refusal::limit_exceeded(format!(
                "You have joined {channels_max} channels; leave one before you join another."
            )));
        }
        joined.knows_whose(credentials_max)
    }

    /// Lets it end when the rights of an identity do.
    pub(super) fn rest_also_on(
        &self,
        identity: &Arc<Identity>,
        limit: usize,
    ) -> Result<(), Refusal> {
        let mut joined = self.joined.lock();
        joined.knows_whose(limit)?;
        joined.rests_on(identity);
        Ok(())
    }

    /// Whose rights what was joined rests on.
    pub(super) fn identities(&self) -> Vec<Arc<Identity>> {
        self.joined.lock().identities.clone()
    }

    /// True when it is this client, proven or not.
    pub(super) fn is_of(&self, client: &ClientId) -> bool {
        let joined = self.joined.lock();
        let own = joined.client.as_ref();
        own.is_some_and(|own| own.client == *client)
            || joined.proves(client)
            || self.receiver.client().as_ref() == Some(client)
    }
}

type Shard = Mutex<HashMap<ConnectionId, Arc<LiveConnection>>>;

/// The live connections of a node.
pub(crate) struct LiveConnections {
    shards: [Shard; SHARDS],
    /// When rights end, the first first.
    ends: Mutex<BTreeSet<(SystemTime, ConnectionId)>>,
}

impl Default for LiveConnections {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard::default()),
            ends: Mutex::default(),
        }
    }
}

impl LiveConnections {
    pub(super) fn insert(&self, live: &Arc<LiveConnection>) {
        let connection = live.receiver.connection();
        self.shard(connection)
            .lock()
            .insert(connection, live.clone());
        self.schedule(live);
    }

    pub(super) fn remove(&self, live: &LiveConnection) {
        let connection = live.receiver.connection();
        self.shard(connection).lock().remove(&connection);
        if let Some(end) = live.joined.lock().ends_at.take() {
            self.ends.lock().remove(&(end, connection));
        }
    }

    /// Notes when the first of its rights ends.
    pub(super) fn schedule(&self, live: &LiveConnection) {
        let connection = live.receiver.connection();
        let mut joined = live.joined.lock();
        let now = SystemTime::now();
        let ends = joined
            .identities
            .iter()
            .flat_map(|identity| identity.ends());
        let end = ends.filter(|end| *end > now).min();
        if end == joined.ends_at {
            return;
        }
        let mut ends = self.ends.lock();
        if let Some(before) = std::mem::replace(&mut joined.ends_at, end) {
            ends.remove(&(before, connection));
        }
        if let Some(end) = end {
            ends.insert((end, connection));
        }
    }

    /// Those with rights that have ended; each is returned once.
    pub(super) fn take_ended(&self, now: SystemTime) -> Vec<Arc<LiveConnection>> {
        let mut ended = Vec::new();
        let mut ends = self.ends.lock();
        while let Some(first @ (end, connection)) = ends.first().copied()
            && end <= now
        {
            ends.remove(&first);
            ended.push(connection);
        }
        drop(ends);
        let found = ended
            .into_iter()
            .filter_map(|connection| self.get(connection));
        found
            .inspect(|live| live.joined.lock().ends_at = None)
            .collect()
    }

    pub(super) fn get(&self, connection: ConnectionId) -> Option<Arc<LiveConnection>> {
        self.shard(connection).lock().get(&connection).cloned()
    }

    /// All of one part at a time, so that no lock is held for long.
    pub(super) fn shards(&self) -> impl Iterator<Item = Vec<Arc<LiveConnection>>> {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().values().cloned().collect())
    }

    fn shard(&self, connection: ConnectionId) -> &Shard {
        &self.shards[connection.number as usize % SHARDS]
    }
}

impl LiveConnection {
    /// True when a right has ended that something rests on.
    pub(super) fn has_lost_rights(&self) -> bool {
        let joined = self.joined.lock();
        let has_lost = |resource: Resource<'_>| {
            let mut grants = joined
                .identities
                .iter()
                .flat_map(|identity| &identity.grants);
            let mut now = joined.identities.iter();
            // What an app joined on its own account rests on no grant.
            grants.any(|grant| grant.covers(Permissions::READ, resource))
                && !now.any(|identity| identity.may(Permissions::READ, resource))
        };
        let mut channels = joined.channels.iter();
        let mut patterns = joined.patterns.iter();
        joined
            .identities
            .iter()
            .any(|identity| identity.is_expired())
            || channels.any(|joined| has_lost(Resource::Channel(&joined.channel)))
            || patterns.any(|(pattern, _)| has_lost(Resource::Pattern(pattern)))
    }

    /// Takes from it the right to join more; false when it had lost that already.
    pub(super) fn end(&self) -> bool {
        !std::mem::replace(&mut self.joined.lock().has_ended, true)
    }
}

impl fmt::Debug for LiveConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = self.joined.lock();
        f.debug_struct("LiveConnection")
            .field("channels", &joined.channels.len())
            .field("patterns", &joined.patterns.len())
            .finish_non_exhaustive()
    }
}
