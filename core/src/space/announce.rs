//! Announcements of presence: the members of a channel are told who comes and who goes.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, stream};

use super::Space;
use crate::{
    channel::Channel,
    identity::ClientId,
    presence::{Coming, MemberOwner, PresenceNotice},
    publication::{Draft, JsonText, Kind, Payload, PresenceAction, PresenceEvent, Retention},
};

/// Notices that are published in one turn.
const BATCH_MAX: usize = 1024;

/// Channels whose notices are published at once.
const CHANNELS_AT_ONCE: usize = 64;

impl Space {
    /// An app makes a client present on a channel on its own account, with this state where it had none, until it
    /// [exits](Self::exit). Returns when the members were told, if it is new there.
    pub async fn enter(
        &self,
        channel: &Channel,
        client: &ClientId,
        state: Option<JsonText>,
        owner: &MemberOwner,
    ) {
        let coming = Coming::of(owner).with_default(state);
        if self.presence.attach(channel, client, coming).is_told {
            self.presence_told().await;
        }
    }

    /// A client is not on a channel any more that it [entered](Self::enter). Returns when the members were told, if it is
    /// present nowhere else.
    pub async fn exit(&self, channel: &Channel, client: &ClientId) {
        if self.presence.leave(channel, client) {
            self.presence_told().await;
        }
    }

    /// Waits until the members were told of everybody who came and went so far, and of their states. Where the backend
    /// hangs it waits some seconds.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind.
    pub async fn presence_told(&self) {
        self.presence.notices().told().await;
    }

    /// Tells the members of a channel something about presence that is not in the [table](crate::space::Presence), which
    /// tells of its changes by itself: of somebody without an id. Where other nodes cannot be reached, members on this
    /// node are told.
    pub async fn announce(&self, channel: &Channel, event: PresenceEvent) {
        let notice = PresenceNotice {
            channel: channel.clone(),
            event,
            is_proven: false,
        };
        self.publish_notice(notice).await;
    }

    /// Tells the members of all channels who comes and goes, until the server has stopped: one task for all of them. They
    /// are told once the other nodes know it: who hears of it and asks any node who is there is not contradicted.
    pub(crate) async fn tell_presence(self: Arc<Self>) {
        let stopped = self.runtime.stopped();
        loop {
            tokio::select! {
                () = self.presence.notices().noted() => {}
                () = stopped.cancelled() => return,
            }
            let (notices, up_to) = self.presence.notices().take(BATCH_MAX);
            self.presence.told().await;
            self.publish_notices(notices).await;
            self.presence.notices().tell(up_to);
            // Many at once take the thread of nobody.
            tokio::task::yield_now().await;
        }
    }

    /// In order on each channel, and on several at once.
    async fn publish_notices(&self, notices: Vec<PresenceNotice>) {
        let mut by_channel: HashMap<Channel, Vec<PresenceNotice>> = HashMap::new();
        for notice in notices {
            let channel = notice.channel.clone();
            by_channel.entry(channel).or_default().push(notice);
        }
        let publish = |notices: Vec<PresenceNotice>| async {
            for notice in notices {
                self.publish_notice(notice).await;
            }
        };
        stream::iter(by_channel.into_values())
            .for_each_concurrent(CHANNELS_AT_ONCE, publish)
            .await;
    }

    async fn publish_notice(&self, notice: PresenceNotice) {
        let PresenceNotice {
            channel,
            event,
            is_proven,
        } = notice;
        let mut draft = Draft::new(channel, Payload::text(""))
            .publisher(event.client.clone())
            .kind(Kind::Presence(event))
            .retention(Retention::NONE);
        draft.is_proven = is_proven && draft.publisher.is_some();
        if let Err(error) = self.backend.publish(draft).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "announced on this node only"
            );
        }
    }

    /// What the members are told of a client on a channel: how many are there now, and what it says about itself as
    /// long as it is present.
    pub fn presence_event(
        &self,
        action: PresenceAction,
        channel: &Channel,
        client: &ClientId,
    ) -> PresenceEvent {
        PresenceEvent {
            action,
            client: Some(client.clone()),
            occupancy: self.presence.occupancy(channel),
            state: self.presence.state(channel, client).flatten(),
        }
    }
}
