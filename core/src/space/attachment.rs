//! One connection's place in the channel space.

use std::{fmt, net::SocketAddr, sync::Arc};

use super::{Replay, Space};
use crate::{
    channel::Channel,
    delivery::{GatedReceiver, Receiver},
    dispatcher::{Command, Event, Origin, Refusal, Verdict},
    hub::JoinNumber,
    identity::{ClientId, ConnectionId, Identity, Permissions},
    interest::Interest,
    pattern::Pattern,
    persistence::Query,
    presence::MemberOwner,
    publication::Draft,
    receipt::Receipt,
};

/// What a subscribe did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// The connection joined.
    Joined,
    /// It was there already.
    Again,
    /// The dispatcher dropped the command.
    Dropped,
}

/// One connection's place in the channel space: its identity and what it joined. Dropping it leaves
/// everything.
pub struct Attachment {
    space: Arc<Space>,
    receiver: Arc<dyn Receiver>,
    origin: Origin,
    /// By name. A map would take several times the memory of the one or two that there mostly are.
    channels: Vec<(Channel, JoinNumber)>,
    patterns: Vec<(Pattern, JoinNumber)>,
    client: Option<JoinNumber>,
}

impl Space {
    /// Makes a connection known; what it joins is left when the attachment is dropped.
    pub fn attach(self: &Arc<Self>, origin: Origin, receiver: Arc<dyn Receiver>) -> Attachment {
        Attachment::new(self.clone(), origin, receiver)
    }
}

impl Attachment {
    fn new(space: Arc<Space>, mut origin: Origin, receiver: Arc<dyn Receiver>) -> Self {
        origin.connection = Some(receiver.connection());
        Self {
            space,
            receiver,
            origin,
            channels: Vec::new(),
            patterns: Vec::new(),
            client: None,
        }
    }

    /// Where this connection's commands come from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sets whose commands follow, and from where: for a session to which its client has come back. What was joined
    /// stays.
    pub fn renew(&mut self, identity: Arc<Identity>, peer: Option<SocketAddr>) {
        self.origin.identity = identity;
        self.origin.peer = peer;
    }

    /// The channel space.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// The connection.
    pub fn connection(&self) -> ConnectionId {
        self.receiver.connection()
    }

    /// Asks to take an identity; the answer is the one to take. It has no effect yet.
    ///
    /// # Errors
    /// A limit, or the dispatcher's refusal.
    pub async fn validate_connect(&self, client: ClientId) -> Result<Option<ClientId>, Refusal> {
        self.space.check_client(&client)?;
        match self.validate(Command::Connect(client)).await? {
            Some(Command::Connect(client)) => Ok(Some(client)),
            _ => Ok(None),
        }
    }

    /// Takes an identity: private messages arrive from now on. A second identity replaces the first.
    pub async fn connect(&mut self, client: ClientId) {
        self.leave_client();
        let interest = Interest::Client(client.clone());
        self.client = Some(self.space.hub.join(&interest, self.receiver.clone()));
        let owner = MemberOwner::from(&self.origin);
        for (channel, _) in &self.channels {
            self.space.presence.join(channel, &client, &owner);
        }
        self.origin.client = Some(client.clone());
        self.space.subscribe_elsewhere(&interest).await;
        self.space
            .dispatcher
            .handle(&self.origin, &Event::Connected(client))
            .await;
    }

    /// Joins a channel.
    ///
    /// # Errors
    /// No right to read there, a limit, or the dispatcher's refusal.
    pub async fn subscribe(&mut self, channel: Channel) -> Result<Subscribed, Refusal> {
        match self.permitted(channel).await? {
            Some(channel) => Ok(self.join(channel).await),
            None => Ok(Subscribed::Dropped),
        }
    }

    /// Refuses a connection that may not read a channel, or with `everywhere` all channels, as a wildcard needs it.
    ///
    /// # Errors
    /// No right to read there, or a limit.
    pub fn may_read(&self, channel: &Channel, everywhere: bool) -> Result<(), Refusal> {
        self.space.check_channel(channel)?;
        let identity = &self.origin.identity;
        let allowed = if everywhere {
            identity.allows_everywhere(Permissions::READ)
        } else {
            identity.allows(Permissions::READ, channel)
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::forbidden("You may not subscribe there."))
        }
    }

    /// Joins a channel; what the history has of `query`'s span comes first, in pages of its limit, and what is
    /// published meanwhile is held back until the [`Replay`] was read. `None` when the channel was joined before.
    ///
    /// # Errors
    /// No right to read there or to read its history, a limit, or the dispatcher's refusal.
    pub async fn subscribe_with_history(
        &mut self,
        channel: Channel,
        query: Query,
    ) -> Result<(Subscribed, Option<Replay>), Refusal> {
        if !self.origin.identity.allows(Permissions::HISTORY, &channel) {
            return Err(Refusal::forbidden("You may not read the history there."));
        }
        let Some(channel) = self.permitted(channel).await? else {
            return Ok((Subscribed::Dropped, None));
        };
        let held = GatedReceiver::new(self.receiver.clone());
        let joined = self.join_as(channel.clone(), held.clone()).await;
        let replay = (joined == Subscribed::Joined)
            .then(|| Replay::new(self.space.clone(), channel, held, query));
        Ok((joined, replay))
    }

    /// The channel to join, if that is allowed.
    async fn permitted(&self, channel: Channel) -> Result<Option<Channel>, Refusal> {
        self.space.check_channel(&channel)?;
        if !self.origin.identity.allows(Permissions::READ, &channel) {
            return Err(Refusal::forbidden("You may not subscribe there."));
        }
        let limit = self.space.limits().channels_per_connection_max;
        if self.channels.len() + self.patterns.len() >= limit && !self.is_on(&channel) {
            return Err(too_many(limit));
        }
        match self.validate(Command::Subscribe(channel)).await? {
            Some(Command::Subscribe(channel)) => Ok(Some(channel)),
            _ => Ok(None),
        }
    }

    /// Joins a channel without asking anybody: for what an app joins on its own account.
    pub async fn join(&mut self, channel: Channel) -> Subscribed {
        let receiver = self.receiver.clone();
        self.join_as(channel, receiver).await
    }

    async fn join_as(&mut self, channel: Channel, receiver: Arc<dyn Receiver>) -> Subscribed {
        let Err(place) = self.find(&channel) else {
            return Subscribed::Again;
        };
        let interest = Interest::Channel(channel.clone());
        let number = self.space.hub.join(&interest, receiver);
        if self.channels.capacity() == 0 {
            self.channels.reserve_exact(1);
        }
        self.channels.insert(place, (channel.clone(), number));
        if let Some(client) = &self.origin.client {
            let owner = MemberOwner::from(&self.origin);
            self.space.presence.join(&channel, client, &owner);
        }
        self.space.subscribe_elsewhere(&interest).await;
        self.space
            .dispatcher
            .handle(&self.origin, &Event::Subscribed(channel))
            .await;
        Subscribed::Joined
    }

    /// Leaves a channel; false when it was not joined, or the dispatcher dropped the command.
    ///
    /// # Errors
    /// The dispatcher's refusal.
    pub async fn unsubscribe(&mut self, channel: Channel) -> Result<bool, Refusal> {
        let Some(Command::Unsubscribe(channel)) =
            self.validate(Command::Unsubscribe(channel)).await?
        else {
            return Ok(false);
        };
        let Ok(place) = self.find(&channel) else {
            return Ok(false);
        };
        let (_, number) = self.channels.remove(place);
        self.leave_channel(&channel, number);
        self.space
            .dispatcher
            .handle(&self.origin, &Event::Unsubscribed(channel))
            .await;
        Ok(true)
    }

    /// Joins every channel that a pattern matches, now and later. A channel that is joined by itself too, or by
    /// several patterns, delivers once. `written` is the pattern as the client wrote it, which is what the
    /// dispatcher is asked about.
    ///
    /// # Errors
    /// No right to read everywhere, a limit, or the dispatcher's refusal.
    pub async fn subscribe_pattern(
        &mut self,
        written: Channel,
        pattern: Pattern,
    ) -> Result<Subscribed, Refusal> {
        self.space.check_channel(&written)?;
        if !self.origin.identity.allows_everywhere(Permissions::READ) {
            let message =
                "You may not subscribe to a wildcard: it takes the right to read everywhere.";
            return Err(Refusal::forbidden(message));
        }
        let is_on = self.patterns.iter().any(|(joined, _)| *joined == pattern);
        let limit = self.space.limits().channels_per_connection_max;
        if self.channels.len() + self.patterns.len() >= limit && !is_on {
            return Err(too_many(limit));
        }
        let event = match self.validate(Command::Subscribe(written)).await? {
            Some(Command::Subscribe(written)) => Event::Subscribed(written),
            _ => return Ok(Subscribed::Dropped),
        };
        if is_on {
            return Ok(Subscribed::Again);
        }
        let interest = Interest::Pattern(pattern.clone());
        let number = self.space.hub.join(&interest, self.receiver.clone());
        self.patterns.push((pattern, number));
        self.space.subscribe_elsewhere(&interest).await;
        self.space.dispatcher.handle(&self.origin, &event).await;
        Ok(Subscribed::Joined)
    }

    /// Leaves a pattern; false when it was not joined, or the dispatcher dropped the command.
    ///
    /// # Errors
    /// The dispatcher's refusal.
    pub async fn unsubscribe_pattern(
        &mut self,
        written: Channel,
        pattern: &Pattern,
    ) -> Result<bool, Refusal> {
        let Some(Command::Unsubscribe(written)) =
            self.validate(Command::Unsubscribe(written)).await?
        else {
            return Ok(false);
        };
        let found = self
            .patterns
            .iter()
            .position(|(joined, _)| joined == pattern);
        let Some(place) = found else {
            return Ok(false);
        };
        let (pattern, number) = self.patterns.swap_remove(place);
        self.leave_pattern(pattern, number);
        let event = Event::Unsubscribed(written);
        self.space.dispatcher.handle(&self.origin, &event).await;
        Ok(true)
    }

    /// Publishes as this connection; `None` when the dispatcher dropped it.
    ///
    /// # Errors
    /// See [`Space::publish`].
    pub fn publish(
        &self,
        draft: Draft,
    ) -> impl Future<Output = Result<Option<Receipt>, Refusal>> + Send + '_ {
        self.space.publish(&self.origin, draft)
    }

    /// True when the connection is on the channel.
    pub fn is_on(&self, channel: &Channel) -> bool {
        self.find(channel).is_ok()
    }

    /// The joined channels, by name.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.iter().map(|(channel, _)| channel)
    }

    /// Leaves everything and tells the dispatcher. Merely dropping the attachment leaves everything too.
    pub async fn disconnect(mut self) {
        let origin = self.origin.clone();
        self.leave_everything();
        self.space
            .dispatcher
            .handle(&origin, &Event::Disconnected)
            .await;
    }

    /// Where a joined channel stands, or would stand.
    fn find(&self, channel: &Channel) -> Result<usize, usize> {
        self.channels
            .binary_search_by(|(joined, _)| joined.cmp(channel))
    }

    async fn validate(&self, command: Command) -> Result<Option<Command>, Refusal> {
        match self.space.dispatcher.validate(&self.origin, command).await {
            Verdict::Proceed(command) => Ok(Some(command)),
            Verdict::Drop => Ok(None),
            Verdict::Refuse(refusal) => Err(refusal),
        }
    }

    fn leave_channel(&self, channel: &Channel, number: JoinNumber) {
        let interest = Interest::Channel(channel.clone());
        if self.space.hub.leave(&interest, number) {
            self.space.backend.unsubscribe(&interest);
        }
        if let Some(client) = &self.origin.client {
            self.space.presence.leave(channel, client);
        }
    }

    fn leave_pattern(&self, pattern: Pattern, number: JoinNumber) {
        let interest = Interest::Pattern(pattern);
        if self.space.hub.leave(&interest, number) {
            self.space.backend.unsubscribe(&interest);
        }
    }

    fn leave_client(&mut self) {
        let (Some(number), Some(client)) = (self.client.take(), self.origin.client.take()) else {
            return;
        };
        for (channel, _) in &self.channels {
            self.space.presence.leave(channel, &client);
        }
        let interest = Interest::Client(client);
        if self.space.hub.leave(&interest, number) {
            self.space.backend.unsubscribe(&interest);
        }
    }

    fn leave_everything(&mut self) {
        for (channel, number) in std::mem::take(&mut self.channels) {
            self.leave_channel(&channel, number);
        }
        for (pattern, number) in std::mem::take(&mut self.patterns) {
            self.leave_pattern(pattern, number);
        }
        self.leave_client();
    }
}

fn too_many(limit: usize) -> Refusal {
    Refusal::limit_exceeded(format!(
        "You have joined {limit} channels; leave one before you join another."
    ))
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.leave_everything();
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("origin", &self.origin)
            .field("channels", &self.channels.len())
            .finish_non_exhaustive()
    }
}
