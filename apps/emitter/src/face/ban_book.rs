//! Which keys are banned, on all nodes and after a restart.

use std::sync::{Arc, Weak};

use polywire_core::{
    Channel, ClientId, ConnectionId, Draft, Identity, JsonText, Origin, Payload, Publication,
    Query, Span, Target,
    delivery::{Fanout, Receiver},
    space::{Attachment, RESERVED},
};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{fault::Fault, service::Service};
use crate::session::NAME;

/// Entries that are read at a time.
const PAGE: usize = 1000;

/// A ban, or its end.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// The fingerprint of the key.
    key: u128,
    banned: bool,
}

/// Bans are published on a channel that only nodes see, which is kept where anything is.
#[derive(Default)]
pub(crate) struct BanBook(OnceCell<Attachment>);

impl BanBook {
    /// Reads what was banned before, and hears from now on what is.
    pub(super) async fn open(&self, service: &Arc<Service>) {
        self.0.get_or_init(|| open(service)).await;
    }
}

fn channel() -> Option<Channel> {
    Channel::new(&format!("{RESERVED}emitter/bans")).ok()
}

async fn open(service: &Arc<Service>) -> Attachment {
    let space = &service.space;
    let listener = Arc::new(Listener {
        connection: ConnectionId::next(space.hub().node()),
        service: Arc::downgrade(service),
    });
    let mut attachment = space.attach(Origin::new(NAME, Identity::anybody()), listener);
    let (Some(channel), Some(history)) = (channel(), space.history()) else {
        if let Some(channel) = channel() {
            attachment.join(channel).await;
        }
        return attachment;
    };
    attachment.join(channel.clone()).await;
    let target = Target::Channel(channel);
    let mut query = Some(Query::new(Span::ALL, PAGE));
    while let Some(next) = query {
        match history.read(&target, &next).await {
            Ok(page) => {
                let entries = page.entries.iter();
                entries.for_each(|stored| service.note(&stored.publication));
                query = page.rest(&next);
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "it is not known which Emitter keys were banned before"
                );
                query = None;
            }
        }
    }
    attachment
}

impl Service {
    /// Bans a key everywhere, or lifts its ban.
    pub(super) async fn ban(&self, key: &str, banned: bool) -> Result<(), Fault> {
        let fingerprint = self.keyring.bannable(key).ok_or_else(Fault::unauthorized)?;
        let too_many = |_| Fault::bad("Too many keys are banned: change the master key.");
        let bans = self.keyring.bans();
        bans.set(fingerprint, banned).map_err(too_many)?;
        let entry = Entry {
            key: u128::from_be_bytes(fingerprint),
            banned,
        };
        if let (Some(channel), Ok(entry)) = (channel(), JsonText::of(&entry)) {
            let draft = Draft::new(channel, Payload::json(entry));
            let kept = self.space.keep_reserved(draft).await;
            kept.map_err(|error| Fault::unavailable(format!("Not known everywhere: {error}.")))?;
        }
        Ok(())
    }

    fn note(&self, publication: &Publication) {
        if let Payload::Json(json) = &publication.payload
            && let Ok(entry) = serde_json::from_str::<Entry>(json.as_str())
            && self
                .keyring
                .bans()
                .set(entry.key.to_be_bytes(), entry.banned)
                .is_err()
        {
            tracing::warn!("a banned Emitter key is not refused here: too many are banned");
        }
    }
}

struct Listener {
    connection: ConnectionId,
    service: Weak<Service>,
}

impl Receiver for Listener {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        if let Some(service) = self.service.upgrade() {
            service.note(fanout.publication());
        }
    }
}
