//! Banned keys, on all nodes and after a restart.

use std::sync::Arc;

use polywire_core::{JsonText, Registry, RegistryError, Space};
use tokio::sync::OnceCell;

use super::{
    fault::Fault,
    keys::{Bans, Fingerprint},
};

/// Bytes of banned keys: 100,000 of them, about.
const BYTES_MAX: usize = 20 << 20;

/// Banned keys, by their fingerprints.
pub(super) struct StoredBans {
    space: Arc<Space>,
    /// Those that this node knows of.
    known: Arc<Bans>,
    registry: OnceCell<Arc<Registry>>,
}

fn written(fingerprint: Fingerprint) -> String {
    format!("{:032x}", u128::from_be_bytes(fingerprint))
}

fn read(key: &str) -> Option<Fingerprint> {
    let number = u128::from_str_radix(key, 16).ok()?;
    Some(number.to_be_bytes())
}

impl StoredBans {
    pub(super) fn new(space: Arc<Space>, known: Arc<Bans>) -> Self {
        Self {
            space,
            known,
            registry: OnceCell::new(),
        }
    }

    /// Reads what was banned before, and hears from now on what is. What cannot be read is tried again with the
    /// next client.
    pub(super) async fn open(&self) {
        if let Err(error) = self.registry().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "it is not known which Emitter keys were banned before"
            );
        }
    }

    async fn registry(&self) -> Result<&Arc<Registry>, RegistryError> {
        let known = self.known.clone();
        let on_change = move |key: &str, ban: Option<&JsonText>| {
            if let Some(fingerprint) = read(key) {
                known.set(fingerprint, ban.is_some());
            }
        };
        let open = || Registry::open(&self.space, "emitter/bans", BYTES_MAX, Box::new(on_change));
        self.registry.get_or_try_init(open).await
    }

    /// Bans a key everywhere, or lifts its ban.
    pub(super) async fn set(&self, fingerprint: Fingerprint, banned: bool) -> Result<(), Fault> {
        let ban = banned.then(|| JsonText::of(&true).ok()).flatten();
        let changed = match self.registry().await {
            Ok(registry) => registry.change(vec![(written(fingerprint), ban)]).await,
            Err(error) => Err(error),
        };
        changed.map_err(|error| match error {
            RegistryError::Full => Fault::bad("Too many keys are banned: change the master key."),
            error => Fault::unavailable(format!("Not known everywhere: {error}.")),
        })
    }
}
