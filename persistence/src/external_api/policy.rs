//! The policy that posts every publication to an HTTP API.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use polywire_core::{
    Durability, PersistResult, PersistenceError, PersistencePolicy, Publication, Target,
};
use reqwest::{Client, Url};

use super::{client::Poster, dead_letters::DeadLetters, settings::ExternalApiSettings};
use crate::{background::Background, losses::Losses, record::Record};

/// Posts every publication to an HTTP API, as `{"data":…,"channel":…}` or `{"data":…,"user":…}`.
///
/// It never delays a publisher: a publication goes into a bounded queue, from which a task posts it. A
/// network error, a time-out and the statuses 408, 429 and 5xx are tried again a few times, in growing
/// pauses; another status means that the API does not want it. Redirects are not followed. What could not
/// be posted goes to the dead-letter file where there is one; what did not, or found the queue full, is
/// counted and logged. A publication whose answer was lost is
/// posted again, so the API may see it twice.
///
/// # Examples
/// ```
/// use polywire_persistence::ExternalApi;
///
/// let policy = ExternalApi::new("http://127.0.0.1:9000/messages").unwrap();
/// assert_eq!(policy.lost(), 0);
/// ```
pub struct ExternalApi {
    client: Client,
    url: Url,
    settings: ExternalApiSettings,
    losses: Arc<Losses>,
    dead_letters: Arc<DeadLetters>,
    background: Background,
}

impl ExternalApi {
    /// The API at this URL.
    ///
    /// # Errors
    /// [`PersistenceError::Configuration`] when it is not an HTTP URL.
    pub fn new(url: impl Into<String>) -> Result<Self, PersistenceError> {
        Self::with(ExternalApiSettings::new(url))
    }

    /// The API with these settings.
    ///
    /// # Errors
    /// [`PersistenceError::Configuration`] when one is wrong.
    pub fn with(settings: ExternalApiSettings) -> Result<Self, PersistenceError> {
        let (client, url) = settings.client()?;
        let losses = Arc::new(Losses::new("external API"));
        Ok(Self {
            client,
            url,
            background: Background::new(
                settings.queue_entries_max,
                settings.queue_bytes_max,
                losses.clone(),
            ),
            dead_letters: Arc::new(DeadLetters::new(&settings)?),
            settings,
            losses,
        })
    }

    /// Publications that were lost so far.
    pub fn lost(&self) -> u64 {
        self.background.lost()
    }

    fn poster(&self) -> Poster {
        Poster {
            client: self.client.clone(),
            url: self.url.clone(),
            settings: self.settings.clone(),
            losses: self.losses.clone(),
            dead_letters: self.dead_letters.clone(),
        }
    }
}

#[async_trait]
impl PersistencePolicy for ExternalApi {
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
            self.poster().run(records)
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

impl fmt::Debug for ExternalApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalApi")
            .field("settings", &self.settings)
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}
