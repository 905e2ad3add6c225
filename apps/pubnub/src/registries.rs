//! Registries: channel groups, and tokens that were taken back. They outlive requests, and nodes where messages are kept.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::StatusCode;
use polywire_core::{Channel, JsonText, Registry, RegistryError, Space};

use crate::{access::Revoked, reply, stream::Streams};

/// Bytes of all channel groups of all tenants.
const GROUPS_BYTES_MAX: usize = 64 << 20;

/// Bytes of tokens that were taken back: 100,000 of them, about.
const REVOKED_BYTES_MAX: usize = 24 << 20;

/// How long until it is tried again to read what cannot be read.
const RETRY: Duration = Duration::from_secs(1);

/// What stands between the name of a group and that of a channel in a key.
const BETWEEN: char = '\0';

/// Both registries, once they were read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registries(Arc<OnceLock<Opened>>);

#[derive(Debug)]
struct Opened {
    /// A document for each channel of each group.
    groups: Arc<Registry>,
    /// For each token when it would have ended.
    revoked: Arc<Registry>,
}

/// A change to one registry.
pub(crate) type RegistryChange = (String, Option<JsonText>);

/// Adds a channel to a group, or removes it.
pub(crate) fn group_change(group: &str, channel: &Channel, is_in: bool) -> RegistryChange {
    let key = format!("{group}{BETWEEN}{}", channel.as_str());
    (key, is_in.then(|| JsonText::of(&true).ok()).flatten())
}

impl Registries {
    /// Reads what there is, and follows it. When it cannot be read that is tried again in the background.
    pub(crate) async fn open(
        &self,
        space: &Arc<Space>,
        streams: &Arc<Streams>,
        revoked: &Arc<Revoked>,
    ) {
        if self.try_open(space, streams, revoked).await {
            return;
        }
        let (this, space) = (self.clone(), space.clone());
        let (streams, revoked) = (streams.clone(), revoked.clone());
        tokio::spawn(async move {
            let stop = space.runtime().stopping();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY) => {}
                }
                if this.try_open(&space, &streams, &revoked).await {
                    return;
                }
            }
        });
    }

    async fn try_open(
        &self,
        space: &Arc<Space>,
        streams: &Arc<Streams>,
        revoked: &Arc<Revoked>,
    ) -> bool {
        match Opened::open(space, streams, revoked).await {
            Ok(opened) => {
                revoked.mark_complete();
                // Opened once: nobody else does.
                let _ = self.0.set(opened);
                true
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "channel groups and revoked tokens cannot be read; tried again until they can"
                );
                false
            }
        }
    }

    fn get(&self) -> Result<&Opened, RegistryError> {
        self.0.get().ok_or(RegistryError::Stopping)
    }

    /// Changes channel groups on all nodes.
    pub(crate) async fn change_groups(
        &self,
        changes: Vec<RegistryChange>,
    ) -> Result<(), RegistryError> {
        self.get()?.groups.change(changes).await
    }

    /// Changes which tokens are taken back, on all nodes.
    pub(crate) async fn change_revoked(
        &self,
        changes: Vec<RegistryChange>,
    ) -> Result<(), RegistryError> {
        self.get()?.revoked.change(changes).await
    }
}

impl Opened {
    async fn open(
        space: &Arc<Space>,
        streams: &Arc<Streams>,
        revoked: &Arc<Revoked>,
    ) -> Result<Self, RegistryError> {
        let of_streams = streams.clone();
        let on_group = Box::new(move |key: &str, value: Option<&JsonText>| {
            if let Some((group, channel)) = key.split_once(BETWEEN)
                && let Ok(channel) = Channel::new(channel)
            {
                of_streams.set_in_group(group, channel, value.is_some());
            }
        });
        let (of_streams, of_revoked) = (streams.clone(), revoked.clone());
        let on_revoked = Box::new(move |key: &str, value: Option<&JsonText>| {
            of_revoked.set(key, value);
            // Polls that are open with it end.
            of_streams.wake_all();
        });
        let (groups, revoked) = ("pubnub/groups", "pubnub/revoked");
        Ok(Self {
            groups: Registry::open(space, groups, GROUPS_BYTES_MAX, on_group).await?,
            revoked: Registry::open(space, revoked, REVOKED_BYTES_MAX, on_revoked).await?,
        })
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
