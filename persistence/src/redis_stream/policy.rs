//! The policy that appends every publication to a capped stream in Redis.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use polywire_core::{
    Durability, PersistResult, PersistenceError, PersistencePolicy, Publication, Target,
};
use redis::Client;

use super::{settings::RedisStreamSettings, writer::Writer};
use crate::{background::Background, losses::Losses, record::Record};

/// Appends every publication to a capped stream in Redis, one stream for each channel and each user.
///
/// The one field of an entry is `data`, with the JSON text `{"data":…,"channel":…}` or `{"data":…,"user":…}`.
///
/// It never delays a publisher: a publication goes into a bounded queue, from which a task writes batches.
/// While Redis is away the task tries again, and the queue fills; what finds it full is lost, counted and
/// logged, and so is what Redis refuses. A batch whose answer was lost is written again, so that a stream
/// may hold a publication twice.
///
/// # Examples
/// ```
/// use polywire_persistence::{RedisStream, RedisStreamSettings};
///
/// let settings = RedisStreamSettings::url("redis://localhost/3").prefix("chat:");
/// let policy = RedisStream::new(settings).unwrap();
/// assert_eq!(policy.lost(), 0);
/// ```
pub struct RedisStream {
    client: Client,
    settings: RedisStreamSettings,
    losses: Arc<Losses>,
    background: Background,
}

impl RedisStream {
    /// Checks the settings; connects when the first publication comes.
    ///
    /// # Errors
    /// [`PersistenceError::Configuration`] when a setting is wrong.
    pub fn new(settings: RedisStreamSettings) -> Result<Self, PersistenceError> {
        let losses = Arc::new(Losses::new("Redis streams"));
        Ok(Self {
            client: settings.client()?,
            background: Background::new(
                settings.queue_entries_max,
                settings.queue_bytes_max,
                losses.clone(),
            ),
            settings,
            losses,
        })
    }

    /// Publications that were lost so far.
    pub fn lost(&self) -> u64 {
        self.background.lost()
    }

    fn writer(&self) -> Writer {
        Writer {
            client: self.client.clone(),
            settings: self.settings.clone(),
            losses: self.losses.clone(),
        }
    }
}

#[async_trait]
impl PersistencePolicy for RedisStream {
    async fn persist(&self, publication: &Arc<Publication>) -> PersistResult {
        self.persist_now(publication)
    }

    fn waits(&self, _: &Target) -> bool {
        false
    }

    fn persist_now(&self, publication: &Arc<Publication>) -> PersistResult {
        // What apps remember is no message.
        if publication.target.is_reserved() {
            return Ok(Durability::Delivered);
        }
        self.background.put(Record::of(publication), |records| {
            self.writer().run(records)
        });
        Ok(Durability::Delivered)
    }

    /// What it loses is counted.
    fn refuses(&self) -> bool {
        false
    }

    async fn stop(&self) {
        self.background.stop().await;
    }
}

impl fmt::Debug for RedisStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStream")
            .field("settings", &self.settings)
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}
