//! Revoked rights: those that were taken back before they end by themselves.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::{
    dispatcher::Refusal,
    identity::{ClientId, CredentialId, Identity},
};

/// What is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Revocation {
    /// What a client has been given until now. What is issued to it later counts again.
    Client(ClientId),
    /// One credential.
    Credential(CredentialId),
    /// Every token that was issued before this time, or does not say when it was. Keys and passwords of a configuration are
    /// issued by nobody.
    IssuedBefore(SystemTime),
}

/// What kinds of keys there are among the documents of the registry.
const CLIENT: &str = "client/";
const CREDENTIAL: &str = "credential/";
const ISSUED_BEFORE: &str = "issued-before";

/// Revocations of what has ended by itself that are forgotten with each one that is made.
const FORGOTTEN_AT_ONCE: usize = 100;

impl Revocation {
    /// What it is known by, where it is kept.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Client(client) => format!("{CLIENT}{client}"),
            Self::Credential(credential) => format!("{CREDENTIAL}{credential}"),
            Self::IssuedBefore(_) => ISSUED_BEFORE.to_owned(),
        }
    }

    /// What is kept with the key of what ends by itself at `until`, where it does.
    pub(crate) fn kept(&self, until: Option<SystemTime>) -> Kept {
        let before = match self {
            Self::IssuedBefore(before) => *before,
            // What was issued within this millisecond counts as before.
            _ => SystemTime::now() + Duration::from_millis(1),
        };
        let before = millis(before);
        match until {
            Some(until) => Kept::Until(before, millis(until)),
            None => Kept::Always(before),
        }
    }
}

/// What is kept with the key of a revocation, in milliseconds since 1970: before when something counts no more, and how long
/// that has to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kept {
    Always(u64),
    Until(u64, u64),
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Keeps revocations for all nodes, and for later.
#[async_trait]
pub(crate) trait RevocationKeeper: Send + Sync {
    /// Keeps what belongs to a key, or forgets it.
    async fn keep(&self, key: String, kept: Option<Kept>) -> Result<(), Refusal>;
}

/// The revocations that this node knows.
#[derive(Default)]
pub(crate) struct Revoked {
    table: RwLock<Table>,
    keeper: OnceLock<Weak<dyn RevocationKeeper>>,
    /// What is kept could not be read yet.
    is_unknown: AtomicBool,
    /// While there is none, and that is known, nobody looks any further.
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    clients: HashMap<ClientId, SystemTime>,
    /// With when each of them has ended by itself.
    credentials: HashMap<CredentialId, Option<u64>>,
    issued_before: Option<SystemTime>,
}

impl Revoked {
    /// Sets who keeps them.
    pub(crate) fn set_keeper(&self, keeper: Weak<dyn RevocationKeeper>) {
        // Set once, when the server is composed.
        let _ = self.keeper.set(keeper);
    }

    /// Who keeps them.
    pub(super) fn keeper(&self) -> Option<Arc<dyn RevocationKeeper>> {
        self.keeper.get().and_then(Weak::upgrade)
    }

    /// True when a credential was taken back.
    pub(super) fn has_credential(&self, credential: &CredentialId) -> bool {
        self.table.read().credentials.contains_key(credential)
    }

    /// Sets whether what is kept could not be read yet.
    pub(crate) fn set_unknown(&self, is_unknown: bool) {
        self.is_unknown.store(is_unknown, Ordering::Release);
        if is_unknown {
            self.any.store(true, Ordering::Release);
        }
    }

    /// True when nothing was ever taken back, as far as is known, and all of it is known.
    pub(super) fn is_quiet(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// True when the rights of an identity may have been taken back, and cannot be known yet.
    pub(super) fn is_unknown_of(&self, identity: &Identity) -> bool {
        self.is_unknown.load(Ordering::Acquire)
            && (identity.client.is_some() || identity.credential.is_some())
    }

    /// True when the rights of an identity were taken back.
    pub(crate) fn contains(&self, identity: &Identity) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let table = self.table.read();
        // A credential that does not say when it was issued is as old as can be.
        let is_before = |time: &SystemTime| identity.issued_at.is_none_or(|at| at < *time);
        identity
            .credential
            .as_ref()
            .is_some_and(|credential| table.credentials.contains_key(credential))
            || identity
                .client
                .as_ref()
                .and_then(|client| table.clients.get(client))
                .is_some_and(is_before)
            || identity.issued_at.is_some() && table.issued_before.as_ref().is_some_and(is_before)
    }

    /// Before when everything counts no more.
    pub(super) fn issued_before(&self) -> Option<SystemTime> {
        self.table.read().issued_before
    }

    /// The keys of some that have ended by themselves and can be forgotten.
    pub(crate) fn over(&self) -> Vec<String> {
        let now = millis(SystemTime::now());
        let table = self.table.read();
        let credentials = table.credentials.iter();
        let over = credentials.filter(|(_, until)| until.is_some_and(|until| until < now));
        over.take(FORGOTTEN_AT_ONCE)
            .map(|(credential, _)| format!("{CREDENTIAL}{credential}"))
            .collect()
    }

    /// Takes over what a registry says of a key: what is kept with it, or that it is gone.
    pub(crate) fn set(&self, key: &str, kept: Option<Kept>) {
        let (before, until) = match kept {
            Some(Kept::Always(before)) => (Some(before), None),
            Some(Kept::Until(before, until)) => (Some(before), Some(until)),
            None => (None, None),
        };
        let time = before.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
        let mut table = self.table.write();
        if let Some(client) = key
            .strip_prefix(CLIENT)
            .and_then(|id| ClientId::new(id).ok())
        {
            match time {
                Some(time) => table.clients.insert(client, time),
                None => table.clients.remove(&client),
            };
        } else if let Some(credential) = key.strip_prefix(CREDENTIAL) {
            match time {
                Some(_) => {
                    let credential = CredentialId::new(credential);
                    table.credentials.insert(credential, until);
                }
                None => drop(table.credentials.remove(credential)),
            }
        } else if key == ISSUED_BEFORE {
            table.issued_before = time;
        }
        self.any.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(client: Option<&str>, credential: Option<&str>, issued: Option<u64>) -> Identity {
        Identity {
            client: client.map(|id| ClientId::new(id).unwrap()),
            credential: credential.map(CredentialId::new),
            issued_at: issued.map(|secs| UNIX_EPOCH + Duration::from_secs(secs)),
            ..Identity::unrestricted()
        }
    }

    #[test]
    fn what_was_taken_back_counts_no_more() {
        let revoked = Revoked::default();
        let ann = || identity(Some("ann"), Some("t1"), Some(100));
        assert!(!revoked.contains(&ann()));
        revoked.set("credential/t1", Some(Kept::Always(1)));
        assert!(revoked.contains(&ann()));
        assert!(!revoked.contains(&identity(Some("ann"), Some("t2"), Some(100))));
        revoked.set("credential/t1", None);
        assert!(!revoked.contains(&ann()));
        revoked.set("client/ann", Some(Kept::Always(150_000)));
        assert!(revoked.contains(&ann()));
        assert!(
            !revoked.contains(&identity(Some("ann"), None, Some(151))),
            "issued later"
        );
        assert!(revoked.contains(&identity(Some("ann"), None, None)));
        assert!(!revoked.contains(&identity(Some("bob"), None, Some(100))));
        revoked.set("issued-before", Some(Kept::Always(200_000)));
        assert!(revoked.contains(&identity(Some("bob"), None, Some(100))));
        assert!(
            !revoked.contains(&identity(None, Some("key"), None)),
            "issued by nobody"
        );
        assert!(!revoked.contains(&identity(Some("bob"), None, Some(200))));
        assert!(!revoked.contains(&Identity::unrestricted()), "anonymous");
    }

    #[test]
    fn what_is_kept_says_what_was_taken_back() {
        let revoked = Revoked::default();
        let credential = Revocation::Credential(CredentialId::new("a/b"));
        revoked.set(&credential.key(), Some(credential.kept(None)));
        assert!(revoked.contains(&identity(None, Some("a/b"), None)));
    }

    #[test]
    fn what_has_ended_by_itself_can_be_forgotten() {
        let revoked = Revoked::default();
        let kept = |text: &str| serde_json::from_str::<Kept>(text).unwrap();
        revoked.set("credential/ended", Some(kept("[1,2]")));
        revoked.set("credential/stays", Some(kept("1")));
        let later = SystemTime::now() + Duration::from_secs(60);
        let counts = Revocation::Credential(CredentialId::new("counts"));
        let text = serde_json::to_string(&counts.kept(Some(later))).unwrap();
        revoked.set(&counts.key(), Some(kept(&text)));
        assert_eq!(revoked.over(), ["credential/ended"]);
        revoked.set("credential/ended", None);
        assert!(revoked.over().is_empty());
        for credential in ["stays", "counts"] {
            assert!(revoked.contains(&identity(None, Some(credential), None)));
        }
    }
}
