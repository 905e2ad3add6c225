//! Announcements of presence: the members of a channel are told who comes and who goes.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, stream};

use super::Space;
use crate::{
    channel::Channel,
    identity::ClientId,
    presence::{Coming, MemberOwner, PresenceNotice, PresenceSettings},
    publication::{
        Draft, JsonText, Kind, Payload, PresenceAction, PresenceEvent, PresenceSummary, Retention,
    },
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
    /// tells of its changes by itself: of somebody without an id. Returns when they were told; where other nodes cannot be
    /// reached, members on this node are. Above [`announce_max`](crate::PresenceSettings::announce_max) members nobody is told
    /// of somebody without an id.
    pub async fn announce(&self, channel: &Channel, event: PresenceEvent) {
        let notice = PresenceNotice {
            channel: channel.clone(),
            event,
            is_proven: false,
        };
        self.presence.notices().note(notice);
        self.presence_told().await;
    }

    /// Tells the members of all channels who comes and goes, until the server has stopped: one task for all of them. They
    /// are told once the other nodes know it: who hears of it and asks any node who is there is not contradicted.
    pub(crate) async fn tell_presence(self: Arc<Self>, settings: PresenceSettings) {
        let stopped = self.runtime.stopped();
        let notices = self.presence.notices();
        loop {
            let due = notices.summaries().due();
            tokio::select! {
                () = notices.noted() => {}
                () = due => {
                    self.tell_summaries().await;
                    continue;
                }
                () = stopped.cancelled() => return,
            }
            let (taken, up_to) = notices.take(BATCH_MAX);
            self.presence.told().await;
            self.publish_notices(taken, &settings).await;
            notices.tell(up_to);
            // Many at once take the thread of nobody.
            tokio::task::yield_now().await;
        }
    }

    /// Tells the members of channels with many of them who came and went since they were told last.
    pub(crate) async fn tell_summaries(&self) {
        let summaries = self.presence.notices().summaries().take_all();
        let publish =
            |(channel, summary)| self.publish_presence(draft_of_summary(channel, summary));
        stream::iter(summaries)
            .for_each_concurrent(CHANNELS_AT_ONCE, publish)
            .await;
    }

    /// In order on each channel, and on several at once; of channels with many members they are summed up.
    async fn publish_notices(&self, notices: Vec<PresenceNotice>, settings: &PresenceSettings) {
        let publish = |drafts: Vec<Draft>| async {
            for draft in drafts {
                self.publish_presence(draft).await;
            }
        };
        stream::iter(self.sum_up(notices, settings).into_values())
            .for_each_concurrent(CHANNELS_AT_ONCE, publish)
            .await;
    }

    /// What is told at once, by channel; the rest is summed up.
    fn sum_up(
        &self,
        notices: Vec<PresenceNotice>,
        settings: &PresenceSettings,
    ) -> HashMap<Channel, Vec<Draft>> {
        let mut by_channel: HashMap<Channel, Vec<Draft>> = HashMap::new();
        let mut summaries = self.presence.notices().summaries();
        for notice in notices {
            if self.is_summed_up(&notice, settings) {
                // Somebody without an id is in no summary.
                if notice.event.client.is_some() {
                    summaries.note(&notice.channel, &notice.event);
                }
                continue;
            }
            let channel = notice.channel.clone();
            let summary = summaries.take(&channel);
            let drafts = by_channel.entry(channel.clone()).or_default();
            // What it tells of came before.
            drafts.extend(summary.map(|summary| draft_of_summary(channel, summary)));
            drafts.push(draft_of_notice(notice));
        }
        by_channel
    }

    /// True where it costs too much to tell everybody of each who comes and goes: of a thousand clients that come, a million
    /// notices. On channels that apps use among themselves only those count that hear of it.
    fn is_summed_up(&self, notice: &PresenceNotice, settings: &PresenceSettings) -> bool {
        let event = &notice.event;
        let gone = match event.action {
            PresenceAction::StateChange => return false,
            PresenceAction::Connect | PresenceAction::Join => 0,
            // It was told of like it, or not.
            _ => 1,
        };
        let is_large = |members: usize| members > settings.announce_max;
        let channel = &notice.channel;
        (is_large(event.occupancy + gone) && !channel.is_reserved())
            || is_large(self.hub.presence_takers(channel))
    }

    async fn publish_presence(&self, draft: Draft) {
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

fn draft_of_notice(notice: PresenceNotice) -> Draft {
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
    draft
}

fn draft_of_summary(channel: Channel, summary: PresenceSummary) -> Draft {
    Draft::new(channel, Payload::text(""))
        .kind(Kind::PresenceSummary(Box::new(summary)))
        .retention(Retention::NONE)
}
