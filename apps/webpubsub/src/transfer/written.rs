//! Connections that are written down when the only node stops: where messages are kept on disk they wait for their clients
//! after its restart.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use polywire_core::{
    Channel, Draft, Durability, HistoryError, JsonText, Payload, Query, Retention, Space, Span,
    Target,
};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{page::Page, record::ConnectionState};
use crate::replay_buffer::ReplayState;

/// Parts that are read at once.
const READ_AT_ONCE: usize = 100;

/// A part of a connection.
#[derive(Debug, Serialize, Deserialize)]
struct WrittenPart {
    id: String,
    /// When it was written, in milliseconds since 1970.
    at: u64,
    /// With the first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<ConnectionState>,
    page: Page,
}

/// A connection as it was written down.
pub(super) struct WrittenConnection {
    pub(super) state: ConnectionState,
    pub(super) kept: ReplayState,
    /// How long ago that was.
    pub(super) age: Duration,
}

/// Where connections are written down: on a channel of their own.
pub(super) struct WrittenConnections {
    space: Arc<Space>,
    channel: Channel,
    outlives: OnceCell<bool>,
}

impl WrittenConnections {
    pub(super) fn new(space: &Arc<Space>) -> Self {
        Self {
            space: space.clone(),
            channel: Channel::reserved("webpubsub/written"),
            outlives: OnceCell::new(),
        }
    }

    /// True when what is written outlives the process, and is for this node alone.
    pub(super) async fn outlive(&self) -> bool {
        if self.space.is_shared() || self.space.whole_history().is_none() {
            return false;
        }
        let probe = || async {
            let nothing = JsonText::of(&serde_json::json!({})).ok();
            match nothing {
                Some(nothing) => self.put(nothing).await >= Durability::Synced,
                None => false,
            }
        };
        *self.outlives.get_or_init(probe).await
    }

    async fn put(&self, text: JsonText) -> Durability {
        let draft =
            Draft::new(self.channel.clone(), Payload::Json(text)).retention(Retention::DEFAULT);
        match self.space.publish_reserved(draft).await {
            Ok(receipt) => receipt.durability,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "a connection is not written down: its client connects anew"
                );
                Durability::Delivered
            }
        }
    }

    /// Writes a connection down; false when it may not be there later.
    pub(super) async fn write(&self, state: ConnectionState, kept: &ReplayState) -> bool {
        let (id, at) = (state.id.clone(), millis(SystemTime::now()));
        let (mut state, mut next) = (Some(state), Some(kept.first));
        while let Some(from) = next {
            let page = Page::of(kept, from);
            next = page.is_more.then(|| page.next());
            let part = WrittenPart {
                id: id.clone(),
                at,
                state: state.take(),
                page,
            };
            let Ok(text) = JsonText::of(&part) else {
                return false;
            };
            if self.put(text).await < Durability::Synced {
                return false;
            }
        }
        true
    }

    /// Takes what was written down: it is there no more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn take(&self) -> Result<Vec<WrittenConnection>, HistoryError> {
        let Some(history) = self.space.whole_history() else {
            return Ok(Vec::new());
        };
        let target = Target::from(self.channel.clone());
        let mut found: HashMap<String, WrittenConnection> = HashMap::new();
        let mut next = Some(Query::new(Span::ALL, READ_AT_ONCE));
        while let Some(query) = next {
            let page = history.read(&target, &query).await?;
            for stored in &page.entries {
                if let Payload::Json(text) = &stored.publication.payload
                    && let Ok(part) = serde_json::from_str::<WrittenPart>(text.as_str())
                {
                    add(&mut found, part);
                }
            }
            next = page.rest(&query);
        }
        history.delete(&target, Span::ALL).await?;
        let mut found: Vec<_> = found.into_values().collect();
        for connection in &mut found {
            let (now, age) = (Instant::now(), connection.age);
            for expires in connection.kept.expiring.values_mut() {
                *expires = expires.checked_sub(age).unwrap_or(now);
            }
        }
        Ok(found)
    }
}

fn add(found: &mut HashMap<String, WrittenConnection>, part: WrittenPart) {
    let age = millis(SystemTime::now()).saturating_sub(part.at);
    if let Some(state) = part.state {
        let begun = WrittenConnection {
            state,
            kept: ReplayState::new(part.page.first),
            age: Duration::from_millis(age),
        };
        found.insert(part.id.clone(), begun);
    }
    let is_whole = match found.get_mut(&part.id) {
        Some(connection) => part.page.add_to(&mut connection.kept),
        None => return,
    };
    if !is_whole {
        // A part of it is missing: its client is told.
        found.remove(&part.id);
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
