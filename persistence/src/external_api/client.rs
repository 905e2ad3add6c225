//! Posts records, and tries again.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use reqwest::{Client, StatusCode, Url, header::CONTENT_TYPE};
use tokio_util::sync::CancellationToken;

use super::ExternalApiSettings;
use crate::{
    background::{Queued, Records},
    losses::Losses,
};

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The work of the background task.
pub(super) struct Poster {
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) settings: ExternalApiSettings,
    pub(super) losses: Arc<Losses>,
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
                    Some(record) => posting.push(self.post(record, &stopping)),
                    None => break,
                },
                Some(()) = posting.next() => {}
            }
        }
        while posting.next().await.is_some() {}
    }

    async fn post(&self, queued: Queued, stopping: &CancellationToken) {
        let mut pause = Duration::from_millis(self.settings.pause_ms);
        let mut attempt = 1;
        let why = loop {
            match self.attempt(&queued).await {
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
        self.losses.add(1, &why);
    }

    async fn attempt(&self, queued: &Queued) -> Attempt {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(queued.record.json.clone());
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
