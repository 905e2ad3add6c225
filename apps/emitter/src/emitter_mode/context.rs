//! The Emitter protocol: what all of its clients share.

use std::{net::SocketAddr, sync::Arc};

use polywire_core::space::Revocation;

use super::{
    fault::Fault,
    keys::{Held, Keyring, Shown},
    topic::has_form,
};
use crate::{
    broker::context::BrokerContext,
    codec::{encoder::Encoders, version::Version},
    settings::NAME,
};

/// What all clients of the Emitter protocol share.
pub(crate) struct EmitterContext {
    pub(crate) broker: Arc<BrokerContext>,
    pub(crate) keyring: Keyring,
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

    /// What a key is that is shown to make keys or to ban them, unless too many wrong ones came from the address.
    pub(super) fn judge(&self, peer: Option<SocketAddr>, shown: &str) -> Result<Held, Fault> {
        let runtime = self.broker.space.runtime();
        let attempt = runtime.login_attempt(NAME, peer, &shown);
        let attempt = attempt.map_err(Fault::throttled)?;
        let space = &self.broker.space;
        let is_banned = || {
            let credential = self.keyring.credential(shown);
            credential.is_some_and(|credential| space.is_revoked(&credential))
        };
        match self.keyring.read(shown) {
            Some(held) if !is_banned() => {
                attempt.right();
                Ok(held)
            }
            _ => {
                attempt.wrong();
                Err(Fault::unauthorized())
            }
        }
    }

    /// Bans a key everywhere, or lifts its ban.
    pub(super) async fn ban(&self, key: &str, banned: bool) -> Result<(), Fault> {
        let shown = Shown::once(&self.keyring, key).identity;
        let credential = shown.credential.clone();
        let credential = credential.ok_or_else(Fault::unauthorized)?;
        let (space, ban) = (&self.broker.space, Revocation::Credential(credential));
        if banned {
            // A key that has ended need not be kept in mind.
            space.revoke_until(&ban, shown.expires_at).await?;
        } else {
            space.lift_revocation(&ban).await?;
        }
        Ok(())
    }
}
