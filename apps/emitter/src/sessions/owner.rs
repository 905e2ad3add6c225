//! The owner of a session as it is written down: whose rights it rests on while its client is away.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use polywire_core::{ClientId, CredentialId, Grant, Identity};
use serde::{Deserialize, Serialize};

/// Who had a session written down. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issued_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

impl Owner {
    /// `None` for nobody in particular, whose rights do not end.
    pub(super) fn of(identity: &Identity) -> Option<Self> {
        let owner = Self {
            client: identity.client.as_ref().map(ToString::to_string),
            credential: identity.credential.as_ref().map(ToString::to_string),
            issued_at: identity.issued_at.map(millis),
            // Nobody looks which grant it was that ends.
            expires_at: identity.ends().min().map(millis),
        };
        (owner != Self::default()).then_some(owner)
    }

    /// Whom the credential proved.
    pub(super) fn client(&self) -> Option<ClientId> {
        ClientId::new(self.client.as_ref()?).ok()
    }

    /// The same with these rights, for as long as those last that it had.
    pub(super) fn identity(&self, grants: Vec<Grant>) -> Identity {
        Identity {
            client: self.client(),
            credential: self.credential.as_deref().map(CredentialId::new),
            issued_at: self.issued_at.map(time),
            expires_at: self.expires_at.map(time),
            grants,
            ..Identity::default()
        }
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> SystemTime {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    time.unwrap_or(UNIX_EPOCH)
}
