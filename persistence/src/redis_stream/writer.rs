//! The writer of records: in batches, and it connects again.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Pipeline, RedisError, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};

use super::settings::RedisStreamSettings;
use crate::{
    background::{Queued, Records},
    losses::Losses,
};

/// Records and bytes that one pipeline carries at most; a single larger record goes alone.
const BATCH_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 1 << 20;

const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// The work of the background task.
pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) settings: RedisStreamSettings,
    pub(super) losses: Arc<Losses>,
}

impl Writer {
    pub(super) async fn run(self, mut records: Records) {
        let mut connection = None;
        let mut kept = None;
        loop {
            let first = match kept.take() {
                Some(record) => Some(record),
                None => records.next().await,
            };
            let Some(first) = first else { return };
            let mut bytes = first.record.len();
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Some(next) = records.next_now()
            {
                bytes += next.record.len();
                if bytes > BATCH_BYTES_MAX {
                    kept = Some(next);
                    break;
                }
                batch.push(next);
            }
            self.write(batch, &mut connection, &records).await;
        }
    }

    /// Writes a batch. While Redis is away it tries again for as long as the node runs: the queue is
    /// bounded, so that waiting costs no more than what comes after it is full.
    async fn write(
        &self,
        mut batch: Vec<Queued>,
        connection: &mut Option<MultiplexedConnection>,
        records: &Records,
    ) {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.attempt(&batch, connection).await {
                Ok(replies) => {
                    batch = self.again(batch, replies);
                    if batch.is_empty() {
                        return;
                    }
                }
                Err(error) => {
                    *connection = None;
                    tracing::debug!(error = &error as &dyn std::error::Error, "no Redis streams");
                }
            }
            if records.stopping.is_cancelled() {
                return self
                    .losses
                    .add(batch.len() as u64, "Redis is away and the node stops");
            }
            let pausing = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0)));
            tokio::select! {
                () = pausing => {}
                () = records.stopping.cancelled() => {}
            }
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    async fn attempt(
        &self,
        batch: &[Queued],
        connection: &mut Option<MultiplexedConnection>,
    ) -> RedisResult<Vec<Value>> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.connect().await?),
        };
        let mut pipeline = Pipeline::with_capacity(batch.len());
        for queued in batch {
            pipeline
                .cmd("XADD")
                .arg(self.settings.key(&queued.record.target))
                .arg("MAXLEN")
                .arg("~")
                .arg(self.settings.stream_entries_max)
                .arg("*")
                .arg("data")
                .arg(&queued.record.json[..]);
        }
        connection
            .req_packed_commands(&pipeline, 0, batch.len())
            .await
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let connect_timeout = Duration::from_millis(self.settings.connect_timeout_ms);
        let response_timeout = Duration::from_millis(self.settings.response_timeout_ms);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(Some(response_timeout));
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        // The library bounds both steps; this also bounds the look-up of the name.
        match tokio::time::timeout(connect_timeout + response_timeout, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(RedisError::from(std::io::Error::from(
                std::io::ErrorKind::TimedOut,
            ))),
        }
    }

    /// The records that Redis will take a little later. What it refuses is lost.
    fn again(&self, batch: Vec<Queued>, replies: Vec<Value>) -> Vec<Queued> {
        let mut again = Vec::new();
        for (queued, reply) in batch.into_iter().zip(replies) {
            match reply.extract_error() {
                Ok(_) => {}
                // The server has just started, or is being replaced.
                Err(error)
                    if matches!(error.code(), Some("LOADING" | "MASTERDOWN" | "READONLY")) =>
                {
                    again.push(queued);
                }
                Err(error) => self.losses.add(1, &format!("Redis refused: {error}")),
            }
        }
        again
    }
}
