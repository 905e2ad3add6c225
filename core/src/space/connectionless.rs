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
    presence::{Coming, Lease, MemberOwner, TouchOutcome},
    publication::JsonText,
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

    /// A sign of life of a client without a connection: it is present until a time has passed without another, or a request
    /// that is held by it is [released](crate::space::Presence::release). With a state it takes that too. What follows is
    /// done by [`touched`](Self::touched).
    pub fn touch(
        &self,
        origin: &Origin,
        channel: &Channel,
        client: &ClientId,
        lease: Lease,
        owner: &MemberOwner,
        state: Option<JsonText>,
    ) -> TouchOutcome {
        let is_proven = origin.identity.client.as_ref() == Some(client);
        let coming = Coming::of(owner).proven(is_proven).with(state);
        let touched = self.presence.touch(channel, client, lease, coming);
        if origin.identity.can_be_revoked() {
            self.presence.rests_on(channel, client, &origin.identity);
        }
        touched
    }

    /// What follows a [sign of life](Self::touch): returns when the members were told of what is new, and the dispatcher
    /// that a client came.
    pub async fn touched(&self, origin: &Origin, channel: &Channel, touched: TouchOutcome) {
        if touched.is_told {
            // Boxed, so that the many signs of life that change nothing cost nothing.
            Box::pin(self.presence_told()).await;
        }
        if touched.is_new {
            let event = Event::Subscribed(channel.clone());
            Box::pin(self.dispatcher.handle(origin, &event)).await;
        }
    }

    /// A present client takes another state; returns when the members were told, if it is one. False when the client is not
    /// present.
    pub async fn set_state(&self, channel: &Channel, client: &ClientId, state: JsonText) -> bool {
        let is_present = self.presence.set_state(channel, client, Some(state));
        self.presence_told().await;
        is_present
    }

    /// A client without a connection leaves: its signs of life end on all nodes. Where it is connected it stays. Returns
    /// when the members were told, if it is present nowhere else. False when it gave no signs of life.
    pub async fn leave(&self, origin: &Origin, channel: &Channel, client: &ClientId) -> bool {
        let was_present = self.presence.end_signs(channel, client);
        if was_present {
            self.presence_told().await;
            let event = Event::Unsubscribed(channel.clone());
            self.dispatcher.handle(origin, &event).await;
        }
        was_present
    }

    /// Ends signs of life whose time is over, until the server stops: one task for all of them.
    pub(crate) async fn watch_presence(self: Arc<Self>) {
        let stop = self.runtime.stopping();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = stop.cancelled() => return,
            }
            self.presence.expire(Instant::now().into_std());
        }
    }
}
