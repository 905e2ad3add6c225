//! Which keys are banned, on all nodes and after a restart.

use std::sync::Arc;

use polywire_core::{JsonText, Registry, RegistryError};
use tokio::sync::OnceCell;

use super::{fault::Fault, service::Service};
use crate::keys::Fingerprint;

/// Bytes of banned keys: 100,000 of them, about.
const BYTES_MAX: usize = 20 << 20;

/// Banned keys, by their fingerprints.
#[derive(Default)]
pub(crate) struct BanBook(OnceCell<Arc<Registry>>);

fn written(fingerprint: Fingerprint) -> String {
    format!("{:032x}", u128::from_be_bytes(fingerprint))
}

fn read(key: &str) -> Option<Fingerprint> {
    let number = u128::from_str_radix(key, 16).ok()?;
    Some(number.to_be_bytes())
}

impl BanBook {
    /// Reads what was banned before, and hears from now on what is. What cannot be read is tried again with the
    /// next client.
    pub(super) async fn open(&self, service: &Arc<Service>) {
        if let Err(error) = self.registry(service).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "it is not known which Emitter keys were banned before"
            );
        }
    }

    async fn registry(&self, service: &Service) -> Result<&Arc<Registry>, RegistryError> {
        let bans = service.keyring.bans().clone();
        let on_change = move |key: &str, ban: Option<&JsonText>| {
            if let Some(fingerprint) = read(key) {
                bans.set(fingerprint, ban.is_some());
            }
        };
        let open = || {
            Registry::open(
                &service.space,
                "emitter/bans",
                BYTES_MAX,
                Box::new(on_change),
            )
        };
        self.0.get_or_try_init(open).await
    }
}

impl Service {
    /// Bans a key everywhere, or lifts its ban.
    pub(super) async fn ban(&self, key: &str, banned: bool) -> Result<(), Fault> {
        let fingerprint = self.keyring.bannable(key).ok_or_else(Fault::unauthorized)?;
        let ban = banned.then(|| JsonText::of(&true).ok()).flatten();
        let changed = match self.bans.registry(self).await {
            Ok(registry) => registry.change(vec![(written(fingerprint), ban)]).await,
            Err(error) => Err(error),
        };
        changed.map_err(|error| match error {
            RegistryError::Full => Fault::bad("Too many keys are banned: change the master key."),
            error => Fault::unavailable(format!("Not known everywhere: {error}.")),
        })
    }
}
