//! One connection's place in the channel space.

use std::{fmt, net::SocketAddr, sync::Arc};

use super::{
    Action, Publishing, Replay, Space,
    live::{Joined, JoinedClient, LiveConnection},
};
use crate::{
    channel::Channel,
    delivery::{GatedReceiver, Receiver},
    dispatcher::{Command, CustomCommand, Event, Origin, Refusal, Verdict},
    identity::{ClientId, ConnectionId, Identity},
    interest::Interest,
    pattern::Pattern,
    persistence::Query,
    publication::{Draft, JsonText, PresenceAction},
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
    live: Arc<LiveConnection>,
    origin: Origin,
    /// Channels and patterns that it may join.
    channels_max: usize,
}

impl Space {
    /// Makes a connection known; what it joins is left when the attachment is dropped. Where its rights end before
    /// that it leaves everything, and its receiver is [told](Receiver::end).
    pub fn attach(self: &Arc<Self>, mut origin: Origin, receiver: Arc<dyn Receiver>) -> Attachment {
        origin.connection = Some(receiver.connection());
        let live = LiveConnection::new(&origin, receiver);
        self.live.insert(&live);
        let attachment = Attachment {
            space: self.clone(),
            live,
            origin,
            channels_max: self.limits().channels_per_connection_max,
        };
        // Known before, so that no end is missed.
        self.check_live(&attachment.live);
        attachment
    }
}

impl Attachment {
    /// Where this connection's commands come from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sets whose commands follow, and from where: for a session to which its client has come back. What was joined
    /// stays, and from now on rests on this identity.
    pub fn renew(&mut self, identity: Arc<Identity>, peer: Option<SocketAddr>) {
        self.origin.identity = identity.clone();
        self.origin.peer = peer;
        self.live.rest_on(vec![identity]);
        self.space.live.schedule(&self.live);
        self.space.check_live(&self.live);
    }

    /// Sets by whose rights the next commands are judged, for a protocol whose clients show a credential with each of
    /// them. What is joined then ends when these rights do.
    pub fn act_as(&mut self, identity: &Arc<Identity>) {
        if !Arc::ptr_eq(&self.origin.identity, identity) {
            self.origin.identity = identity.clone();
        }
    }

    /// Lets the connection join more than `limits.channels_per_connection_max`: its app has a bound of its own, in bytes.
    pub fn bounded_by_app(&mut self) {
        self.channels_max = usize::MAX;
    }

    /// True when the server has ended the connection: its receiver was told, which may have been before it could say so
    /// to its client.
    pub fn has_ended(&self) -> bool {
        self.live.look(|joined| joined.has_ended)
    }

    /// The channel space.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// The connection.
    pub fn connection(&self) -> ConnectionId {
        self.live.receiver().connection()
    }

    /// Asks to take an identity; the answer is the one to take. It has no effect yet.
    ///
    /// # Errors
    /// A limit, or the dispatcher's refusal.
    pub async fn validate_connect(&self, client: ClientId) -> Result<Option<ClientId>, Refusal> {
        let client = self.space.identify(&self.origin, client)?;
        match self.validate(Command::Connect(client)).await? {
            Some(Command::Connect(client)) => Ok(Some(client)),
            _ => Ok(None),
        }
    }

    /// Asks the dispatcher about a command that the protocol does not know. True when it has done what it stands for; otherwise
    /// nobody knows it.
    ///
    /// # Errors
    /// When the dispatcher refuses.
    pub async fn validate_custom(&self, command: CustomCommand) -> Result<bool, Refusal> {
        let left = self.validate(Command::Custom(command)).await?;
        Ok(left.is_none())
    }

    /// Takes an identity: private messages arrive from now on, where it may have them. A second identity replaces the
    /// first.
    pub async fn connect(&mut self, client: ClientId) {
        self.space.leave_client(&self.live);
        let interest = Interest::Client(client.clone());
        let receives = self.space.may(&self.origin, Action::ReceiveAs(&client));
        let number = receives.then(|| self.space.hub.join(&interest, self.live.receiver().clone()));
        let joined_client = JoinedClient {
            client: client.clone(),
            number,
            state: None,
            is_place: Channel::is_place,
        };
        self.space.be_client(&self.live, joined_client);
        self.origin.client = Some(client.clone());
        if receives {
            self.space.subscribe_elsewhere(&interest).await;
        }
        self.space
            .dispatcher
            .handle(&self.origin, &Event::Connected(client))
            .await;
    }

    /// Makes a client present wherever this connection has joined a channel by its name, and joins one from now on, that
    /// `is_place`, with this state where it has none; until it [disappears](Self::disappear), or the attachment is dropped. Private
    /// messages do not arrive by it, as they do by [`connect`](Self::connect).
    pub fn appear(
        &mut self,
        client: ClientId,
        state: Option<JsonText>,
        is_place: fn(&Channel) -> bool,
    ) {
        let is_same = |known: &JoinedClient| {
            known.client == client && known.state.as_deref() == state.as_ref()
        };
        if self
            .live
            .look(|joined| joined.client.as_ref().is_some_and(is_same))
        {
            return;
        }
        self.disappear();
        let client = JoinedClient {
            client,
            number: None,
            state: state.map(Box::new),
            is_place,
        };
        self.space.be_client(&self.live, client);
    }

    /// The client is not present by this connection any more, which stays on what it has joined.
    pub fn disappear(&mut self) {
        self.space.leave_client(&self.live);
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
        self.space
            .authorize(&self.origin, Action::ReadHistory(&channel))?;
        let Some(channel) = self.permitted(channel).await? else {
            return Ok((Subscribed::Dropped, None));
        };
        let held = GatedReceiver::new(self.live.receiver().clone());
        let by = PresenceAction::Join;
        let joined = self.join_as(channel.clone(), held.clone(), by).await;
        let replay = (joined == Subscribed::Joined)
            .then(|| Replay::new(self.space.clone(), channel, held, query));
        Ok((joined, replay))
    }

    /// The channel to join, if that is allowed.
    async fn permitted(&self, channel: Channel) -> Result<Option<Channel>, Refusal> {
        self.space
            .authorize(&self.origin, Action::Subscribe(&channel))?;
        let limit = self.credentials_max();
        let channels_max = self.channels_max;
        self.live
            .has_room(channels_max, limit, |joined| joined.is_on(&channel))?;
        match self.validate(Command::Subscribe(channel)).await? {
            Some(Command::Subscribe(channel)) => Ok(Some(channel)),
            _ => Ok(None),
        }
    }

    /// Joins a channel without asking anybody: for what an app joins on its own account.
    pub async fn join(&mut self, channel: Channel) -> Subscribed {
        let receiver = self.live.receiver().clone();
        self.join_as(channel, receiver, PresenceAction::Join).await
    }

    /// The same for a channel that a client joins by connecting, which its members are told in these words.
    pub async fn join_by_connecting(&mut self, channel: Channel) -> Subscribed {
        let receiver = self.live.receiver().clone();
        let by = PresenceAction::Connect;
        self.join_as(channel, receiver, by).await
    }

    async fn join_as(
        &mut self,
        channel: Channel,
        receiver: Arc<dyn Receiver>,
        by: PresenceAction,
    ) -> Subscribed {
        let interest = Interest::Channel(channel.clone());
        if !self.space.join(
            &self.live,
            Some(&self.origin.identity),
            &channel,
            receiver,
            by,
        ) {
            return Subscribed::Again;
        }
        self.space.live.schedule(&self.live);
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
        if !self.space.leave_channel(&self.live, &channel) {
            return Ok(false);
        }
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
    /// No right to read all that it matches, a limit, or the dispatcher's refusal.
    pub async fn subscribe_pattern(
        &mut self,
        written: Channel,
        pattern: Pattern,
    ) -> Result<Subscribed, Refusal> {
        self.space.check_channel(&written)?;
        self.space
            .authorize(&self.origin, Action::SubscribePattern(&pattern))?;
        let is_on = |joined: &Joined| joined.is_on_pattern(&pattern);
        let limit = self.credentials_max();
        self.live.has_room(self.channels_max, limit, is_on)?;
        let event = match self.validate(Command::Subscribe(written)).await? {
            Some(Command::Subscribe(written)) => Event::Subscribed(written),
            _ => return Ok(Subscribed::Dropped),
        };
        let interest = Interest::Pattern(pattern.clone());
        if !self
            .space
            .join_pattern(&self.live, &self.origin.identity, pattern)
        {
            return Ok(Subscribed::Again);
        }
        self.space.live.schedule(&self.live);
        self.space.subscribe_elsewhere(&interest).await;
        self.space.dispatcher.handle(&self.origin, &event).await;
        Ok(Subscribed::Joined)
    }

    /// Joins every channel that a pattern matches without asking anybody: for what an app joins on its own account.
    ///
    /// # Errors
    /// `LimitExceeded` when it has joined as much as it may.
    pub async fn join_pattern(&mut self, pattern: Pattern) -> Result<Subscribed, Refusal> {
        let is_on = |joined: &Joined| joined.is_on_pattern(&pattern);
        let limit = self.credentials_max();
        self.live.has_room(self.channels_max, limit, is_on)?;
        let interest = Interest::Pattern(pattern.clone());
        if !self
            .space
            .join_pattern(&self.live, &self.origin.identity, pattern)
        {
            return Ok(Subscribed::Again);
        }
        self.space.live.schedule(&self.live);
        self.space.subscribe_elsewhere(&interest).await;
        Ok(Subscribed::Joined)
    }

    /// Lets this connection end when the rights end by which it acts now: for what an app joined in its place
    /// elsewhere, such as a group of which each message goes to one member.
    ///
    /// # Errors
    /// `LimitExceeded` when it rests on as many credentials as it may join channels.
    pub fn rest_on_identity(&mut self) -> Result<(), Refusal> {
        let limit = self.credentials_max();
        self.live.rest_also_on(&self.origin.identity, limit)?;
        self.space.live.schedule(&self.live);
        self.space.check_live(&self.live);
        Ok(())
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
        if !self.space.leave_pattern(&self.live, pattern) {
            return Ok(false);
        }
        let event = Event::Unsubscribed(written);
        self.space.dispatcher.handle(&self.origin, &event).await;
        Ok(true)
    }

    /// Leaves a pattern without asking anybody; false when it was not joined.
    pub fn leave_pattern(&mut self, pattern: &Pattern) -> bool {
        self.space.leave_pattern(&self.live, pattern)
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

    /// Publishes as this connection, without waiting for the store.
    ///
    /// # Errors
    /// See [`Space::place`].
    pub fn place(
        &self,
        draft: Draft,
    ) -> impl Future<Output = Result<Publishing, Refusal>> + Send + '_ {
        self.space.place(&self.origin, draft)
    }

    /// True when the connection is on the channel.
    pub fn is_on(&self, channel: &Channel) -> bool {
        self.live.look(|joined| joined.is_on(channel))
    }

    /// The joined channels, by name.
    pub fn channels(&self) -> Vec<Channel> {
        self.live.look(|joined| {
            let channels = joined.channels.iter();
            channels.map(|joined| joined.channel.clone()).collect()
        })
    }

    /// Leaves everything and tells the dispatcher. Merely dropping the attachment leaves everything too.
    pub async fn disconnect(self) {
        let (origin, space) = (self.origin.clone(), self.space.clone());
        drop(self);
        space.dispatcher.handle(&origin, &Event::Disconnected).await;
    }

    /// Credentials that what it joined may rest on.
    fn credentials_max(&self) -> usize {
        self.space.limits().channels_per_connection_max
    }

    async fn validate(&self, command: Command) -> Result<Option<Command>, Refusal> {
        match self.space.dispatcher.validate(&self.origin, command).await {
            Verdict::Proceed(command) => Ok(Some(command)),
            Verdict::Drop => Ok(None),
            Verdict::Refuse(refusal) => Err(refusal),
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.space.live.remove(&self.live);
        self.space.leave_everything(&self.live);
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("origin", &self.origin)
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}
