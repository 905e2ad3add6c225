//! How a session lives: its client goes, comes back, or does not.

use polywire_core::{Channel, Draft, Identity, Payload, Permissions};
use serde::{Deserialize, Serialize};

use super::{Session, described, publish_plain};
use crate::{face::Face, keys::now, shared::Shared, subscription::Filter};

/// A client is away. In seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Absence {
    /// When the session ends.
    pub(crate) ends_at: u64,
    /// When its will is published.
    pub(crate) will_at: Option<u64>,
}

impl Absence {
    /// Of a client whose session lasts so many seconds.
    pub(crate) fn from_now(expiry_secs: u32) -> Self {
        Self {
            ends_at: now() + u64::from(expiry_secs),
            will_at: None,
        }
    }
}

impl Session {
    /// True when it outlives its connection. Those of Emitter clients do not: there are no such sessions in Emitter.
    pub(crate) fn lasts(&self) -> bool {
        self.expiry_secs > 0 && !matches!(self.face, Face::Emitter(_))
    }

    /// True when somebody may read all that the session is subscribed to.
    pub(crate) fn may_be_of(&self, identity: &Identity) -> bool {
        let subscriptions = self.client.subscriptions().into_iter();
        let filters = subscriptions.map(|subscription| subscription.filter);
        let mut filters = filters.chain(self.groups.iter().map(|share| share.filter.clone()));
        filters.all(|filter| match &filter {
            Filter::Channel(channel) => identity.allows(Permissions::READ, channel),
            Filter::Pattern(..) => identity.allows_everywhere(Permissions::READ),
        })
    }

    /// Publishes the will, if there is one.
    pub(crate) async fn publish_will(&mut self, shared: &Shared) {
        let Some(will) = self.will.take() else {
            return;
        };
        let published = match &self.face {
            Face::Emitter(speaker) => speaker.publish_will(will, &self.attachment).await,
            Face::Plain | Face::Undecided(_) => {
                let Ok(topic) = Channel::new(&will.topic) else {
                    return;
                };
                let about = will.about.expires_in(will.expiry_secs);
                let draft = Draft::new(topic, Payload::untyped(will.payload))
                    .publisher(self.client.id().clone());
                let draft = described(draft, &about, will.expiry_secs);
                let published = publish_plain(shared, &self.attachment, draft, about.retain);
                published.await.is_ok()
            }
        };
        if !published {
            tracing::debug!(client = %self.id, "a will was not published");
        }
    }

    /// The client is away from now on. Its will is published, or waits with it.
    pub(crate) async fn depart(&mut self, shared: &Shared) {
        self.client.go();
        self.aliases.clear();
        let delay_secs = self.will.as_ref().map(|will| u64::from(will.delay_secs));
        let mut absence = Absence::from_now(self.expiry_secs);
        match delay_secs {
            Some(secs) if secs > 0 => {
                absence.will_at = Some(absence.ends_at.min(now() + secs));
            }
            _ => self.publish_will(shared).await,
        }
        self.absence = Some(absence);
    }

    /// The client has come back. A will that waited is not published any more.
    pub(crate) async fn come_back(&mut self, shared: &Shared) {
        let was_here = self.absence.take().is_none();
        if was_here && self.will.as_ref().is_some_and(|will| will.delay_secs == 0) {
            // It was lost, and is here again at once: another connection of it is not there any more.
            self.publish_will(shared).await;
        }
        self.will = None;
    }

    /// Leaves everything: another node has the session.
    pub(crate) async fn detach(self, shared: &Shared) {
        self.leave_groups(shared).await;
        self.attachment.disconnect().await;
    }

    async fn leave_groups(&self, shared: &Shared) {
        let (space, groups) = (&shared.space, &shared.emitter.groups);
        for share in &self.groups {
            let left = groups.leave(space, &share.group, &share.filter, self.client.id());
            left.await;
        }
    }

    /// Ends the session: its will is published, and it leaves everything.
    pub(crate) async fn end(mut self, shared: &Shared) {
        self.leave_groups(shared).await;
        self.publish_will(shared).await;
        if let Face::Emitter(speaker) = self.face {
            speaker.end().await;
        }
        self.attachment.disconnect().await;
    }
}
