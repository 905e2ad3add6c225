//! The Emitter protocol: what all of its clients share.

use std::{net::SocketAddr, sync::Arc};

use super::{fault::Fault, keys::Keyring, stored_bans::StoredBans, topic::has_form};
use crate::{
    broker::context::BrokerContext,
    codec::{encoder::Encoders, version::Version},
    settings::NAME,
};

/// What all clients of the Emitter protocol share.
pub(crate) struct EmitterContext {
    pub(crate) broker: Arc<BrokerContext>,
    pub(crate) keyring: Keyring,
    bans: StoredBans,
    v3: Encoders,
    v5: Encoders,
}

impl EmitterContext {
    pub(crate) fn new(
        broker: Arc<BrokerContext>,
        keyring: Keyring,
        v3: Encoders,
        v5: Encoders,
    ) -> Arc<Self> {
        Arc::new(Self {
            bans: StoredBans::new(&broker.space, keyring.bans().clone()),
            broker,
            keyring,
            v3,
            v5,
        })
    }

    /// The wire formats of the Emitter protocol.
    pub(super) fn encoders(&self, version: Version) -> Encoders {
        match version {
            Version::V3 => self.v3.clone(),
            Version::V5 => self.v5.clone(),
        }
    }

    /// True when a client that names this topic first speaks the Emitter protocol.
    pub(crate) fn is_meant(&self, topic: &str) -> bool {
        let key = topic.split('/').next().unwrap_or_default();
        has_form(topic) || (key.len() < topic.len() && self.keyring.looks_like_a_key(key))
    }

    /// Returns when it is known which keys are banned.
    pub(crate) async fn ready(&self) {
        self.bans.open().await;
    }

    /// Judges a key that is shown to make keys or to ban them, unless too many wrong ones came from the address.
    pub(super) fn judge<H>(
        &self,
        peer: Option<SocketAddr>,
        shown: &str,
        judge: impl FnOnce(&Keyring) -> Option<H>,
    ) -> Result<H, Fault> {
        let runtime = self.broker.space.runtime();
        let attempt = runtime.login_attempt(NAME, peer, &shown);
        let attempt = attempt.map_err(Fault::throttled)?;
        match judge(&self.keyring) {
            Some(held) => {
                attempt.right();
                Ok(held)
            }
            None => {
                attempt.wrong();
                Err(Fault::unauthorized())
            }
        }
    }

    /// Bans a key everywhere, or lifts its ban.
    pub(super) async fn ban(&self, key: &str, banned: bool) -> Result<(), Fault> {
        let fingerprint = self.keyring.bannable(key).ok_or_else(Fault::unauthorized)?;
        self.bans.set(fingerprint, banned).await
    }
}
