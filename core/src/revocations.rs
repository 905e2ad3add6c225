//! Revocations: rights that are taken back on all nodes, and stay so when nodes start anew.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Notify, time::timeout};

use crate::{
    dispatcher::{Refusal, RefusalKind},
    publication::JsonText,
    registry::{LazyRegistry, Registry, RegistryError},
    space::{Kept, RevocationKeeper, Space},
};

/// Bytes that are kept of revocations, about 90,000 of them.
const BYTES_MAX: usize = 16 << 20;

/// How long what is kept may take to be read before the server starts without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long after that it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Keeps what is [revoked](Space::revoke) in a registry, so that all nodes know it.
pub(crate) struct Revocations {
    registry: LazyRegistry,
    space: Weak<Space>,
}

impl Revocations {
    /// Begins to keep the revocations of a space, and to take part in what other nodes revoke, until the server stops.
    /// Returns when what is kept was read, or cannot be in a few seconds: then whoever has rights that may have been
    /// taken back waits until it can.
    pub(crate) async fn start(space: &Arc<Space>) {
        let (changed, weak) = (Arc::new(Notify::new()), Arc::downgrade(space));
        let tell = changed.clone();
        let on_change = move |key: &str, document: Option<&JsonText>| {
            if let Some(space) = weak.upgrade() {
                let kept = document.and_then(|text| serde_json::from_str(text.as_str()).ok());
                space.revoked().set(key, kept);
                tell.notify_one();
            }
        };
        let registry = Registry::lazy(space, "revocations", BYTES_MAX, Box::new(on_change));
        let revocations = Arc::new(Self {
            registry,
            space: Arc::downgrade(space),
        });
        let keeper: Arc<dyn RevocationKeeper> = revocations.clone();
        space.revoked().set_keeper(Arc::downgrade(&keeper));
        let is_known = timeout(PATIENCE, revocations.registry.get()).await;
        if !matches!(is_known, Ok(Ok(_))) {
            tracing::warn!(
                "what rights were taken back cannot be read yet: whoever has some waits"
            );
            space.revoked().set_unknown(true);
        }
        tokio::spawn(revocations.run(space.clone(), changed));
    }

    /// Reads what could not be read yet, and sends away whose rights were taken back, whenever that may be somebody.
    async fn run(self: Arc<Self>, space: Arc<Space>, changed: Arc<Notify>) {
        let stopping = space.runtime().stopping();
        let follow = async {
            while self.registry.get().await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
            space.revoked().set_unknown(false);
            loop {
                changed.notified().await;
                space.check_all_live().await;
                space.end_revoked_leases().await;
            }
        };
        tokio::select! {
            () = follow => {}
            () = stopping.cancelled() => {}
        }
    }
}

#[async_trait]
impl RevocationKeeper for Revocations {
    async fn keep(&self, key: String, kept: Option<Kept>) -> Result<(), Refusal> {
        let document = kept.and_then(|kept| JsonText::of(&kept).ok());
        // Room for it.
        let over = self.space.upgrade().map(|space| space.revoked().over());
        let over = over.into_iter().flatten().filter(|other| *other != key);
        let mut changes: Vec<_> = over.map(|key| (key, None)).collect();
        changes.push((key, document));
        let kept = async { self.registry.get().await?.change(changes).await };
        kept.await.map_err(|error| match error {
            RegistryError::Full => Refusal::limit_exceeded(
                "There is no room for more revocations: lift some that are not needed any more.",
            ),
            error => {
                let message = format!("Other nodes may not know of the revocation: {error}.");
                Refusal::new(RefusalKind::Unavailable, message)
            }
        })
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").finish_non_exhaustive()
    }
}
