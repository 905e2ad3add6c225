//! Clients without a connection, which ask again and again: subscribe, presence by signs of life.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Space;
use crate::{
    channel::Channel,
    delivery::Receiver,
    dispatcher::{Command, Event, Origin, Refusal, Verdict},
    identity::ClientId,
    interest::Interest,
    pattern::Pattern,
    presence::{Lease, MemberOwner, TouchOutcome},
    publication::{JsonText, PresenceAction},
};

/// How often it is looked whether a client's time is over.
const LOOK: Duration = Duration::from_millis(500);

impl Space {
    /// Gives a receiver everything that is published on any channel, also on those that apps use among
    /// themselves, from now on and until the server stops: for an app that keeps what clients may ask for later.
    /// Returns when publications of other nodes arrive too.
    ///
    /// Every publication of every app then passes by this receiver, so it had better be quick.
    pub async fn subscribe_all(&self, receiver: Arc<dyn Receiver>) {
        self.follow(&Interest::Pattern(Pattern::everything()), receiver)
            .await;
    }

    /// Asks the dispatcher whether somebody without a connection, who was [authorized](Self::authorize) to, reads a channel;
    /// the answer is the channel to read.
    ///
    /// # Errors
    /// The dispatcher's refusal.
    pub async fn dispatch_subscribe(
        &self,
        origin: &Origin,
        channel: Channel,
    ) -> Result<Option<Channel>, Refusal> {
        let command = Command::Subscribe(channel);
        match self.dispatcher.validate(origin, command).await {
            Verdict::Proceed(Command::Subscribe(channel)) => Ok(Some(channel)),
            Verdict::Proceed(_) | Verdict::Drop => Ok(None),
            Verdict::Refuse(refusal) => Err(refusal),
        }
    }

    /// A sign of life of a client without a connection: see [`Presence::touch`](crate::presence::Presence::touch). With
    /// a state it takes that too. When the client was not present before, or its state is another one now,
    /// the members are told. True when it was not present before.
    pub async fn touch(
        &self,
        origin: &Origin,
        channel: &Channel,
        client: &ClientId,
        lease: Lease,
        owner: &MemberOwner,
        state: Option<JsonText>,
    ) -> bool {
        let touched = self.presence.touch(channel, client, lease, owner);
        self.tell_of_touch(origin, channel, client, touched, state)
            .await;
        touched.is_new
    }

    /// What follows a [sign of life](crate::presence::Presence::touch): the client takes a state, and the members are told of
    /// what is new.
    pub async fn tell_of_touch(
        &self,
        origin: &Origin,
        channel: &Channel,
        client: &ClientId,
        touched: TouchOutcome,
        state: Option<JsonText>,
    ) {
        if origin.identity.can_be_revoked() {
            self.presence.rests_on(channel, client, &origin.identity);
        }
        // Boxed, so that the many signs of life that change nothing cost nothing.
        if touched.is_new {
            Box::pin(self.come(origin, channel, client, state)).await;
        } else if let Some(state) = state {
            Box::pin(self.set_state(channel, client, state)).await;
        }
    }

    /// Tells the members of a client that was not present before.
    async fn come(
        &self,
        origin: &Origin,
        channel: &Channel,
        client: &ClientId,
        state: Option<JsonText>,
    ) {
        if state.is_some() {
            self.presence.set_state(channel, client, state);
        }
        self.tell(PresenceAction::Join, channel, client).await;
        let event = Event::Subscribed(channel.clone());
        self.dispatcher.handle(origin, &event).await;
    }

    /// A present client takes another state, and the members are told if it is one. False when the client
    /// is not present.
    pub async fn set_state(&self, channel: &Channel, client: &ClientId, state: JsonText) -> bool {
        let Some(before) = self.presence.state(channel, client) else {
            return false;
        };
        if before.as_ref() != Some(&state) {
            self.presence.set_state(channel, client, Some(state));
            self.tell(PresenceAction::StateChange, channel, client)
                .await;
        }
        true
    }

    /// A client without a connection leaves. When it was present, the members are told.
    pub async fn leave(&self, origin: &Origin, channel: &Channel, client: &ClientId) -> bool {
        let was_present = self.presence.remove(channel, client);
        if was_present {
            self.tell(PresenceAction::Leave, channel, client).await;
            let event = Event::Unsubscribed(channel.clone());
            self.dispatcher.handle(origin, &event).await;
        }
        was_present
    }

    /// Removes clients without a connection whose time is over, and tells the members, until the server
    /// stops: one task for all of them.
    pub(crate) async fn watch_presence(self: Arc<Self>) {
        let stop = self.runtime.stopping();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = stop.cancelled() => return,
            }
            for (channel, client) in self.presence.expire(Instant::now().into_std()) {
                self.tell(PresenceAction::Timeout, &channel, &client).await;
            }
        }
    }
}
