//! Banned keys, on all nodes and after a restart.

use std::sync::Arc;

use polywire_core::{JsonText, LazyRegistry, Registry, RegistryError, Space};

use super::{
    fault::Fault,
    keys::{Bans, Fingerprint},
};

/// Bytes of banned keys: 100,000 of them, about.
const BYTES_MAX: usize = 20 << 20;

/// Banned keys, by their fingerprints.
pub(super) struct StoredBans(LazyRegistry);

fn written(fingerprint: Fingerprint) -> String {
    format!("{:032x}", u128::from_be_bytes(fingerprint))
}

fn read(key: &str) -> Option<Fingerprint> {
    let number = u128::from_str_radix(key, 16).ok()?;
    Some(number.to_be_bytes())
}

impl StoredBans {
    /// `known` is told of those that this node knows of.
    pub(super) fn new(space: &Arc<Space>, known: Arc<Bans>) -> Self {
        let on_change = move |key: &str, ban: Option<&JsonText>| {
            if let Some(fingerprint) = read(key) {
                known.set(fingerprint, ban.is_some());
            }
        };
        Self(Registry::lazy(
            space,
            "emitter/bans",
            BYTES_MAX,
            Box::new(on_change),
        ))
    }

    /// Reads what was banned before, and hears from now on what is. What cannot be read is tried again with the
    /// next client.
    pub(super) async fn open(&self) {
        if let Err(error) = self.0.get().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "it is not known which Emitter keys were banned before"
            );
        }
    }

    /// Bans a key everywhere, or lifts its ban.
    pub(super) async fn set(&self, fingerprint: Fingerprint, banned: bool) -> Result<(), Fault> {
        let ban = banned.then(|| JsonText::of(&true).ok()).flatten();
        let changed = match self.0.get().await {
            Ok(registry) => registry.change(vec![(written(fingerprint), ban)]).await,
            Err(error) => Err(error),
        };
        changed.map_err(|error| match error {
            RegistryError::Full => Fault::bad("Too many keys are banned: change the master key."),
            error => Fault::unavailable(format!("Not known everywhere: {error}.")),
        })
    }
}
