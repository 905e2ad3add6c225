//! Has publications stored before anybody gets them.

use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Hub, topic::Topic};
use crate::{
    persistence::{Kept, PersistenceError, PersistencePolicy},
    publication::{Publication, Target},
};

/// Bytes that may wait for the policy; further publishers wait before they get their place.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// What a publication costs besides its payload.
const OVERHEAD: usize = 512;
/// Publications that a batch has at most.
const BATCH_MAX: usize = 4096;

/// The way to the persistence policy. Publications that the policy has to wait for stand in one line; its
/// task hands over what has come in since the last batch, and delivers what was stored, in order.
pub(super) struct Storing {
    pub(super) policy: Arc<dyn PersistencePolicy>,
    hub: Arc<Hub>,
    room: Arc<Semaphore>,
    line: OnceLock<mpsc::UnboundedSender<Entry>>,
}

/// A publication that stands in line. Dropping it refuses it, so that a policy that panics holds up no
/// channel.
pub(super) struct Entry {
    publication: Arc<Publication>,
    /// Where it is delivered once it is stored; nowhere when somebody else sees to that.
    topic: Option<Arc<Topic>>,
    hub: Arc<Hub>,
    answer: Option<oneshot::Sender<Kept>>,
    _room: OwnedSemaphorePermit,
}

/// The right to stand in line with one publication.
pub(super) struct Room {
    permit: OwnedSemaphorePermit,
    answer: oneshot::Sender<Kept>,
}

/// Tells what became of a publication that stands in line.
pub(super) type Told = oneshot::Receiver<Kept>;

impl Storing {
    pub(super) fn new(policy: Arc<dyn PersistencePolicy>, hub: Arc<Hub>) -> Self {
        Self {
            policy,
            hub,
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
            line: OnceLock::new(),
        }
    }

    /// Waits until there is room for a payload of `bytes`.
    pub(super) async fn room(&self, bytes: usize) -> Result<(Room, Told), PersistenceError> {
        let bytes = bytes.saturating_add(OVERHEAD).min(WAITING_BYTES_MAX);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = self.room.clone().acquire_many_owned(bytes).await;
        let permit = permit.map_err(|_| PersistenceError::Closed)?;
        let (answer, told) = oneshot::channel();
        Ok((Room { permit, answer }, told))
    }

    /// Puts a publication in line. It comes back when the line is closed; it must not be dropped while its
    /// topic is locked.
    pub(super) fn stand_in_line(
        &self,
        publication: Arc<Publication>,
        topic: Option<Arc<Topic>>,
        room: Room,
    ) -> Option<Entry> {
        let line = self.line.get_or_init(|| self.start());
        let entry = Entry {
            publication,
            topic,
            hub: self.hub.clone(),
            answer: Some(room.answer),
            _room: room.permit,
        };
        line.send(entry).err().map(|refused| refused.0)
    }

    fn start(&self) -> mpsc::UnboundedSender<Entry> {
        let (line, entries) = mpsc::unbounded_channel();
        tokio::spawn(serve(self.policy.clone(), entries));
        line
    }

    /// Waits until nobody stands in line. What comes later is not waited for.
    pub(super) async fn drain(&self) {
        let all = u32::try_from(WAITING_BYTES_MAX).unwrap_or(u32::MAX);
        // Closed never; an error would mean the same.
        drop(self.room.acquire_many(all).await);
    }
}

async fn serve(policy: Arc<dyn PersistencePolicy>, mut entries: mpsc::UnboundedReceiver<Entry>) {
    let mut batch = Vec::new();
    while entries.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let publications: Vec<_> = batch
            .iter()
            .map(|entry| entry.publication.clone())
            .collect();
        // A task of its own: a policy that panics spoils its batch and nothing else.
        let policy = policy.clone();
        let storing = tokio::spawn(async move { policy.persist_all(&publications).await });
        let mut kept = storing.await.unwrap_or_default().into_iter();
        for entry in batch.drain(..) {
            entry.settle(kept.next().unwrap_or(Err(PersistenceError::Closed)));
        }
    }
}

impl Entry {
    fn settle(mut self, kept: Kept) {
        self.finish(kept);
    }

    fn finish(&mut self, kept: Kept) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        if let Some(topic) = &self.topic {
            topic.settle(self.publication.position(), kept.is_ok(), &self.hub.sink());
            match &self.publication.target {
                Target::Channel(channel) => self.hub.channels.retire_if_empty(channel, topic),
                Target::Client(client) => self.hub.clients.retire_if_empty(client, topic),
            }
        }
        // A publisher that went away is not told.
        let _ = answer.send(kept);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.finish(Err(PersistenceError::Closed));
    }
}
