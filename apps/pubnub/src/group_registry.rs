//! The registry of channel groups. They outlive requests, and nodes where messages are kept.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::StatusCode;
use polywire_core::{Channel, JsonText, Registry, RegistryError, Space};

use crate::{keys::KeySets, reply, stream::Streams};

/// Bytes of all channel groups of all tenants.
const BYTES_MAX: usize = 64 << 20;

/// How long until it is tried again to read what cannot be read.
const RETRY: Duration = Duration::from_secs(1);

/// What stands between the name of a group and that of a channel in a key.
const BETWEEN: char = '\0';

/// A document for each channel of each group, once they were read.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupRegistry(Arc<OnceLock<Arc<Registry>>>);

/// A change to the registry.
pub(crate) type RegistryChange = (String, Option<JsonText>);

/// Adds a channel to a group, or removes it.
pub(crate) fn group_change(group: &str, channel: &Channel, is_in: bool) -> RegistryChange {
    let key = format!("{group}{BETWEEN}{}", channel.as_str());
    (key, is_in.then(|| JsonText::of(&true).ok()).flatten())
}

impl GroupRegistry {
    /// Reads what there is, and follows it. When it cannot be read that is tried again in the background.
    pub(crate) async fn open(&self, space: &Arc<Space>, keys: &KeySets, streams: &Arc<Streams>) {
        if self.try_open(space, keys, streams).await {
            return;
        }
        let (this, space) = (self.clone(), space.clone());
        let (keys, streams) = (keys.clone(), streams.clone());
        tokio::spawn(async move {
            let stop = space.runtime().stopping();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY) => {}
                }
                if this.try_open(&space, &keys, &streams).await {
                    return;
                }
            }
        });
    }

    async fn try_open(&self, space: &Arc<Space>, keys: &KeySets, streams: &Arc<Streams>) -> bool {
        let (keys, streams) = (keys.clone(), streams.clone());
        let on_change = Box::new(move |key: &str, value: Option<&JsonText>| {
            if let Some((group, channel)) = key.split_once(BETWEEN)
                && let Ok(channel) = Channel::new(channel)
                // Whatever was kept: no group leads to the channels of another tenant.
                && keys.may_be_in(&channel, group)
            {
                streams.set_in_group(group, &channel, value.is_some());
            }
        });
        match Registry::open(space, "pubnub/groups", BYTES_MAX, on_change).await {
            Ok(registry) => {
                // Opened once: nobody else does.
                let _ = self.0.set(registry);
                true
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "channel groups cannot be read; tried again until they can"
                );
                false
            }
        }
    }

    /// Changes channel groups on all nodes.
    pub(crate) async fn change(&self, changes: Vec<RegistryChange>) -> Result<(), RegistryError> {
        let registry = self.0.get().ok_or(RegistryError::Stopping)?;
        registry.change(changes).await
    }
}

/// What somebody is answered whose change was not remembered everywhere.
pub(crate) fn not_remembered(error: &RegistryError, service: &str) -> reply::Refused {
    tracing::debug!(error = error as &dyn std::error::Error, "not remembered");
    let message = match error {
        RegistryError::Full => "There is no room for more.",
        _ => "That cannot be remembered now; try again later.",
    };
    reply::error(StatusCode::SERVICE_UNAVAILABLE, service, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_what_cannot_be_remembered_is_told_so() {
        for (error, message) in [
            (RegistryError::Full, "There is no room for more."),
            (
                RegistryError::Stopping,
                "That cannot be remembered now; try again later.",
            ),
        ] {
            let refused = not_remembered(&error, "channel-registry");
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            let body: serde_json::Value = serde_json::from_slice(refused.body()).unwrap();
            assert_eq!(body["message"], message);
            assert_eq!(body["service"], "channel-registry");
        }
    }
}
