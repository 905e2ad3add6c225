//! The poster of records, which tries again.

use std::{sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{StreamExt, stream::FuturesUnordered};
use reqwest::{Client, StatusCode, Url, header::CONTENT_TYPE};
use tokio_util::sync::CancellationToken;

use super::{dead_letters::DeadLetters, settings::ExternalApiSettings};
use crate::{
    background::{Queued, Records},
    losses::Losses,
};

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Bytes after which a post takes no more publications.
const BATCH_BYTES: usize = 1 << 20;

/// The work of the background task.
pub(super) struct Poster {
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) settings: ExternalApiSettings,
    pub(super) losses: Arc<Losses>,
    pub(super) dead_letters: Arc<DeadLetters>,
}

/// What became of one attempt.
enum Attempt {
    Done,
    /// Trying again may help.
    Failed(String),
    /// Trying again would be the same.
    Refused(StatusCode),
}

impl Poster {
    pub(super) async fn run(self, mut records: Records) {
        let stopping = records.stopping.clone();
        let mut posting = FuturesUnordered::new();
        loop {
            if posting.len() >= self.settings.concurrency.max(1) {
                posting.next().await;
                continue;
            }
            tokio::select! {
                record = records.next() => match record {
                    Some(record) => {
                        let batch = self.batch(record, &mut records);
                        posting.push(self.post(batch, &stopping));
                    }
                    None => break,
                },
                Some(()) = posting.next() => {}
            }
        }
        while posting.next().await.is_some() {}
    }

    /// What has come in by now, up to the bounds of a post.
    fn batch(&self, first: Queued, records: &mut Records) -> Vec<Queued> {
        let mut bytes = first.record.len();
        let mut batch = vec![first];
        while batch.len() < self.settings.batch_max
            && bytes < BATCH_BYTES
            && let Some(next) = records.next_now()
        {
            bytes += next.record.len();
            batch.push(next);
        }
        batch
    }

    /// One object for one publication, or an array.
    fn body(&self, batch: &[Queued]) -> Bytes {
        if self.settings.batch_max <= 1
            && let [only] = batch
        {
            return only.record.json.clone();
        }
        let mut body = BytesMut::from(&b"["[..]);
        for (n, queued) in batch.iter().enumerate() {
            if n > 0 {
                body.put_u8(b',');
            }
            body.extend_from_slice(&queued.record.json);
        }
        body.put_u8(b']');
        body.freeze()
    }

    async fn post(&self, batch: Vec<Queued>, stopping: &CancellationToken) {
        let body = self.body(&batch);
        let mut pause = Duration::from_millis(self.settings.pause_ms);
        let mut attempt = 1;
        let why = loop {
            match self.attempt(&body).await {
                Attempt::Done => return,
                Attempt::Refused(status) => break format!("the API answered {status}"),
                Attempt::Failed(why) if attempt >= self.settings.attempts_max => break why,
                Attempt::Failed(_) => {}
            }
            attempt += 1;
            let pausing = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0)));
            tokio::select! {
                () = pausing => {}
                // One last attempt, at once: the node is about to end.
                () = stopping.cancelled() => attempt = self.settings.attempts_max.max(attempt),
            }
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        };
        let saved = self.dead_letters.save(&batch).await;
        let lost = batch.len() - saved;
        if saved > 0 {
            tracing::warn!(
                saved,
                why,
                "publications were not posted and went to the dead-letter file"
            );
        }
        if lost > 0 {
            self.losses.add(lost as u64, &why);
        }
    }

    async fn attempt(&self, body: &Bytes) -> Attempt {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.clone());
        match request.send().await {
            Ok(response) if response.status().is_success() => Attempt::Done,
            Ok(response) => {
                let status = response.status();
                let later = status.is_server_error()
                    || matches!(
                        status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    );
                if later {
                    Attempt::Failed(format!("the API answered {status}"))
                } else {
                    Attempt::Refused(status)
                }
            }
            // Without the URL, which may hold a secret.
            Err(error) => Attempt::Failed(error.without_url().to_string()),
        }
    }
}
