//! What all Emitter clients share.

use std::sync::Arc;

use polywire_core::{Channel, ClientId, Pattern, PresenceAction, Space, delivery::Receiver};

use super::{
    ban_book::BanBook,
    speaker::Speaker,
    topic::has_form,
    username,
    who::{Who, place},
};
use crate::{
    client::{Client, Encoders},
    keys::Keyring,
    share::Groups,
    subscription::Filter,
    version::Version,
};

/// What all Emitter clients share.
pub(crate) struct Service {
    pub(crate) space: Arc<Space>,
    pub(crate) keyring: Keyring,
    pub(crate) groups: Groups,
    /// Filters that nobody may subscribe to.
    pub(crate) refused_filters: Arc<[String]>,
    pub(super) bans: BanBook,
    v3: Encoders,
    v5: Encoders,
}

impl Service {
    pub(crate) fn new(
        space: Arc<Space>,
        keyring: Keyring,
        refused_filters: Arc<[String]>,
        v3: Encoders,
        v5: Encoders,
    ) -> Arc<Self> {
        Arc::new(Self {
            space,
            keyring,
            groups: Groups::default(),
            refused_filters,
            bans: BanBook::default(),
            v3,
            v5,
        })
    }

    /// True when a client that names this topic first speaks the Emitter protocol.
    pub(crate) fn is_meant(&self, topic: &str) -> bool {
        let key = topic.split('/').next().unwrap_or_default();
        has_form(topic) || (key.len() < topic.len() && self.keyring.looks_like_a_key(key))
    }

    /// Returns when it is known which keys are banned.
    pub(crate) async fn ready(self: &Arc<Self>) {
        self.bans.open(self).await;
    }

    /// A connection begins to speak.
    pub(crate) async fn speaker(
        self: &Arc<Self>,
        client: &Arc<Client>,
        version: Version,
        username: Option<&str>,
    ) -> Speaker {
        self.ready().await;
        client.speak(match version {
            Version::V3 => self.v3.clone(),
            Version::V5 => self.v5.clone(),
        });
        let limit = self.space.limits().name_bytes_max;
        let username = username.filter(|name| !name.is_empty() && name.len() <= limit);
        let who = Who {
            id: ClientId::new(&client.connection().to_string())
                .unwrap_or_else(|_| unreachable!("the text of a connection id is not empty")),
            username: username.map(Into::into),
        };
        Speaker::new(self.clone(), client.clone(), who)
    }

    /// A connection has subscribed to a path, for the first time.
    pub(super) async fn arrived(&self, path: &str, who: &Who) {
        let Some(place) = place(path) else {
            return;
        };
        let presence = self.space.presence();
        presence.join(&place, &who.id);
        if let Some(username) = &who.username {
            presence.set_state(&place, &who.id, username::state(username));
        }
        self.tell(PresenceAction::Join, &place, who).await;
    }

    /// A connection has left a path.
    pub(super) async fn left(&self, path: &str, who: &Who) {
        let Some(place) = place(path) else {
            return;
        };
        self.space.presence().leave(&place, &who.id);
        self.tell(PresenceAction::Leave, &place, who).await;
    }

    pub(super) async fn tell(&self, action: PresenceAction, place: &Channel, who: &Who) {
        let mut event = self.space.presence_event(action, place, &who.id);
        // Also when it is not present any more.
        event.state = who.username.as_ref().and_then(username::state);
        self.space.announce(place, event, None).await;
    }
}

/// A path as an MQTT filter for it and everything below.
pub(super) fn written(path: &str) -> Option<Channel> {
    let filter = match path {
        "" => "#".to_owned(),
        path => format!("{path}/#"),
    };
    Channel::new(&filter).ok()
}

pub(super) fn filter(path: &str) -> Option<Filter> {
    Some(Filter::Pattern(written(path)?, pattern(path)?))
}

pub(super) fn pattern(path: &str) -> Option<Pattern> {
    Pattern::mqtt(written(path)?.as_str()).ok()
}
