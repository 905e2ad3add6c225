//! Presence watches: a client is told who comes to a channel, and who goes.

use std::sync::{Arc, Weak};

use polywire_core::{
    ConnectionId, Identity, Kind, Origin, PresenceAction, Refusal, Space,
    delivery::{EndReason, Fanout, Receiver},
    space::Attachment,
};
use serde::Serialize;

use super::{
    interest::{pattern, written},
    presence::{EmitterMember, path_of, wild_pattern},
};
use crate::{
    delivery::{subscriber::Subscriber, username},
    settings::NAME,
};

/// What a client is told of one who came or went.
#[derive(Serialize)]
struct WatchChange<'c> {
    time: u64,
    event: &'static str,
    channel: &'c str,
    who: EmitterMember,
}

/// The watches of one connection. They are no presence themselves, and end when this is dropped.
pub(crate) struct PresenceWatch(Attachment);

impl PresenceWatch {
    pub(crate) fn new(space: &Arc<Space>, subscriber: &Arc<Subscriber>) -> Self {
        let watcher = Arc::new(Watch {
            // Another connection than its client's own: it gets what that gets too.
            connection: ConnectionId::next(space.hub().node()),
            subscriber: Arc::downgrade(subscriber),
        });
        Self(space.attach(Origin::new(NAME, Arc::<Identity>::default()), watcher))
    }

    /// Tells the client from now on who comes to a channel or below it, and who goes, for as long as it has the rights by
    /// which it may see that.
    pub(crate) async fn start(
        &mut self,
        path: &str,
        identity: &Arc<Identity>,
    ) -> Result<(), Refusal> {
        if let (Some(pattern), Some(wild)) = (pattern(path), wild_pattern(path)) {
            self.0.act_as(identity);
            self.0.rest_on_identity()?;
            self.0.join_pattern(pattern).await?;
            self.0.join_pattern(wild).await?;
        }
        Ok(())
    }

    pub(crate) async fn stop(&mut self, path: &str) -> Result<(), Refusal> {
        if let (Some(written), Some(pattern)) = (written(path), pattern(path)) {
            self.0.unsubscribe_pattern(written, &pattern).await?;
        }
        if let Some(wild) = wild_pattern(path) {
            self.0.leave_pattern(&wild);
        }
        Ok(())
    }
}

struct Watch {
    connection: ConnectionId,
    subscriber: Weak<Subscriber>,
}

impl Receiver for Watch {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// The key has ended by which the client watches.
    fn end(&self, why: &EndReason) {
        if let Some(subscriber) = self.subscriber.upgrade() {
            subscriber.end(why);
        }
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let publication = fanout.publication();
        let Kind::Presence(presence) = &publication.kind else {
            return;
        };
        let event = match presence.action {
            PresenceAction::Connect | PresenceAction::Join => "subscribe",
            PresenceAction::Disconnect | PresenceAction::Leave | PresenceAction::Timeout => {
                "unsubscribe"
            }
            _ => return,
        };
        let (Some(channel), Some(id), Some(subscriber)) = (
            publication.target.channel(),
            presence.client.clone(),
            self.subscriber.upgrade(),
        ) else {
            return;
        };
        let change = WatchChange {
            time: publication.position().timetoken.0 / 10_000_000,
            event,
            channel: &format!("{}/", path_of(channel.as_str())),
            who: EmitterMember {
                id,
                username: username::of_state(presence.state.as_ref()),
            },
        };
        if let Ok(body) = serde_json::to_vec(&change) {
            subscriber.deliver_answer(fanout, "emitter/presence/", body.into());
        }
    }
}
