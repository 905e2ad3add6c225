//! Storing of publications before anybody gets them.

use std::{
    hash::Hash,
    sync::{Arc, OnceLock},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    Hub,
    shards::Shards,
    topic::{Retired, Topic},
};
use crate::{
    persistence::{HistoryError, PersistResult, PersistenceError, PersistencePolicy},
    publication::{Draft, Position, Publication, Target},
    receipt::Receipt,
};

/// Bytes that may wait for the policy; further publishers wait before they get their place.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// What a publication costs besides what it says.
const OVERHEAD: usize = 512;
/// Publications that a batch has at most.
const BATCH_MAX: usize = 4096;

/// The way to the persistence policy. Publications that the policy has to wait for stand in one line; its
/// task hands over what has come in since the last batch, and delivers what was stored, in order.
pub(super) struct Storing {
    pub(super) policy: Arc<dyn PersistencePolicy>,
    hub: Arc<Hub>,
    room: Arc<Semaphore>,
    line: OnceLock<mpsc::UnboundedSender<StoreEntry>>,
}

/// A publication that stands in line. Dropping it refuses it, so that a policy that panics holds up no
/// channel.
pub(super) struct StoreEntry {
    publication: Arc<Publication>,
    /// Where it is delivered once it is stored; nowhere when somebody else sees to that.
    topic: Option<Arc<Topic>>,
    hub: Arc<Hub>,
    /// What became of it, once that is known.
    kept: Option<PersistResult>,
    answer: Option<oneshot::Sender<PersistResult>>,
    _room: OwnedSemaphorePermit,
}

/// The right to stand in line with one publication.
pub(super) struct Room {
    permit: OwnedSemaphorePermit,
    answer: oneshot::Sender<PersistResult>,
}

/// A publication that has its place on this node.
#[derive(Debug)]
#[must_use]
pub enum PlacedHere {
    /// It was stored, where it is to be, and delivered.
    Done(Receipt),
    /// It stands in line to be stored.
    InLine(BeingStored),
}

/// A publication that stands in line to be stored. It is stored and delivered, or neither, whether that is waited for or not.
#[derive(Debug)]
pub struct BeingStored {
    position: Position,
    told: Told,
}

impl BeingStored {
    /// Waits until it was stored and delivered.
    ///
    /// # Errors
    /// When it was not stored; then nobody gets it.
    pub async fn outcome(self) -> Result<Receipt, PersistenceError> {
        let durability = self.told.await.unwrap_or(Err(PersistenceError::Closed))?;
        Ok(Receipt::new(self.position, durability))
    }
}

/// Tells what became of a publication that stands in line.
pub(super) type Told = oneshot::Receiver<PersistResult>;

impl Storing {
    pub(super) fn new(policy: Arc<dyn PersistencePolicy>, hub: Arc<Hub>) -> Self {
        Self {
            policy,
            hub,
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
            line: OnceLock::new(),
        }
    }

    /// Gives a draft its place, has it stored, and delivers it on this node.
    ///
    /// Publications of one channel are delivered in the order of their places. When the future is dropped, the
    /// publication takes place or not, never half.
    ///
    /// # Errors
    /// When it was to be stored and was not; then nobody gets it.
    pub(super) async fn publish(&self, draft: Draft) -> Result<Receipt, PersistenceError> {
        match self.place(draft).await? {
            PlacedHere::Done(receipt) => Ok(receipt),
            PlacedHere::InLine(stored) => stored.outcome().await,
        }
    }

    /// Gives a draft its place, and does not wait until it is stored and delivered. Whoever asks again afterwards gets a
    /// later place.
    pub(super) async fn place(&self, draft: Draft) -> Result<PlacedHere, PersistenceError> {
        if draft.retention.store && self.policy.stores() {
            return match draft.target.clone() {
                Target::Channel(channel) => {
                    self.place_stored(&self.hub.channels, &channel, draft).await
                }
                Target::Client(client) => {
                    self.place_stored(&self.hub.clients, &client, draft).await
                }
            };
        }
        let position = self.hub.publish_unstored(draft);
        Ok(PlacedHere::Done(Receipt::delivered(position)))
    }

    async fn place_stored<K: Hash + Eq + Clone>(
        &self,
        topics: &Shards<K>,
        name: &K,
        draft: Draft,
    ) -> Result<PlacedHere, PersistenceError> {
        let waits = self.policy.waits(&draft.target);
        loop {
            let topic = topics.get_or_make(name, &self.hub.clock);
            if !topic.is_resumed() {
                topic.resume(self.last_position(&draft.target).await?);
            }
            if !waits {
                let policy = &*self.policy;
                // A draft is cloned only where its topic is gone, which is seldom: it shares its bytes.
                match topic.publish_kept(&self.hub.clock, draft.clone(), policy, &self.hub.sink()) {
                    None => continue,
                    Some(outcome) => {
                        topics.retire_if_empty(name, &topic);
                        return outcome.map(PlacedHere::Done);
                    }
                }
            }
            let (room, told) = self.room(draft.bytes()).await?;
            let turn = topic.take_turn(&self.hub.clock, draft.clone(), |publication| {
                self.stand_in_line(publication, Some(topic.clone()), room)
            });
            let (position, refused) = match turn {
                Err(Retired) => continue,
                Ok(taken) => taken,
            };
            drop(refused);
            return Ok(PlacedHere::InLine(BeingStored { position, told }));
        }
    }

    /// Where the history of a target ends, if somebody keeps it.
    async fn last_position(&self, target: &Target) -> Result<Option<Position>, PersistenceError> {
        let Some(history) = self.policy.history() else {
            return Ok(None);
        };
        match history.last_position(target).await {
            Ok(last) => Ok(last),
            Err(HistoryError::NotKept) => Ok(None),
            Err(error) => Err(PersistenceError::store(error)),
        }
    }

    /// Waits until there is room for `bytes`.
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
    ) -> Option<StoreEntry> {
        let line = self.line.get_or_init(|| self.start());
        let entry = StoreEntry {
            publication,
            topic,
            hub: self.hub.clone(),
            kept: None,
            answer: Some(room.answer),
            _room: room.permit,
        };
        line.send(entry).err().map(|refused| refused.0)
    }

    fn start(&self) -> mpsc::UnboundedSender<StoreEntry> {
        let (line, entries) = mpsc::unbounded_channel();
        tokio::spawn(serve(self.policy.clone(), self.hub.clone(), entries));
        line
    }

    /// Waits until nobody stands in line. What comes later is not waited for.
    pub(super) async fn drain(&self) {
        let all = u32::try_from(WAITING_BYTES_MAX).unwrap_or(u32::MAX);
        // Closed never; an error would mean the same.
        drop(self.room.acquire_many(all).await);
    }
}

async fn serve(
    policy: Arc<dyn PersistencePolicy>,
    hub: Arc<Hub>,
    mut entries: mpsc::UnboundedReceiver<StoreEntry>,
) {
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
        // What was stored together leaves together.
        hub.flusher().together(|| {
            for entry in &mut batch {
                entry.settle(kept.next().unwrap_or(Err(PersistenceError::Closed)));
            }
        });
        // The publishers hear of it behind that: what they send next does not come between.
        batch.clear();
    }
}

impl StoreEntry {
    /// It was kept or not: delivers it, and whatever has waited for it.
    fn settle(&mut self, kept: PersistResult) {
        if let Some(topic) = &self.topic {
            topic.settle(self.publication.position(), kept.is_ok(), &self.hub.sink());
            match &self.publication.target {
                Target::Channel(channel) => self.hub.channels.retire_if_empty(channel, topic),
                Target::Client(client) => self.hub.clients.retire_if_empty(client, topic),
            }
        }
        self.kept = Some(kept);
    }
}

impl Drop for StoreEntry {
    fn drop(&mut self) {
        if self.kept.is_none() {
            self.settle(Err(PersistenceError::Closed));
        }
        if let (Some(answer), Some(kept)) = (self.answer.take(), self.kept.take()) {
            // A publisher that went away is not told.
            let _ = answer.send(kept);
        }
    }
}
