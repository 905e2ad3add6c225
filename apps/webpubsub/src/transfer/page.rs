//! Pages of kept messages, as they travel to another node.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use polywire_core::Timetoken;
use serde::{Deserialize, Serialize};

use crate::replay_buffer::{KeptMessage, ReplayState};

/// Bytes of messages on one page, about.
const PAGE_BYTES: usize = 256 << 10;

/// Some of what was kept, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    /// The sequence id of the first message.
    pub(super) first: u64,
    messages: Vec<TravellingMessage>,
    /// More follows.
    pub(super) is_more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TravellingMessage {
    body: String,
    at: u64,
    /// How long it still lives, where it does not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_ms: Option<u64>,
}

impl Page {
    /// The page that begins with this sequence id.
    pub(super) fn of(state: &ReplayState, from: u64) -> Self {
        let skipped = usize::try_from(from.saturating_sub(state.first)).unwrap_or(usize::MAX);
        let now = Instant::now();
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for (id, message) in (from..).zip(state.kept.iter().skip(skipped)) {
            if bytes >= PAGE_BYTES {
                break;
            }
            bytes += message.body.len();
            let left = state.expiring.get(&id).map(|at| at.duration_since(now));
            messages.push(TravellingMessage {
                body: BASE64_STANDARD.encode(&message.body[..]),
                at: message.at.0,
                left_ms: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            });
        }
        Self {
            first: from,
            is_more: skipped.saturating_add(messages.len()) < state.kept.len(),
            messages,
        }
    }

    /// The sequence id of the message behind it.
    pub(super) fn next(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    /// Adds its messages; false when they do not follow what is there, or are no messages.
    pub(super) fn add_to(self, state: &mut ReplayState) -> bool {
        let now = Instant::now();
        if self.first != state.first + state.kept.len() as u64 {
            return false;
        }
        for (id, message) in (self.first..).zip(self.messages) {
            let Ok(body) = BASE64_STANDARD.decode(message.body) else {
                return false;
            };
            state.kept.push_back(KeptMessage {
                body: Arc::new(body.into()),
                at: Timetoken(message.at),
            });
            if let Some(left) = message.left_ms {
                state.expiring.insert(id, now + Duration::from_millis(left));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_arrives_page_by_page() {
        let mut state = ReplayState::new(7);
        for at in 0..10 {
            let body = vec![at as u8; PAGE_BYTES / 3];
            state.kept.push_back(KeptMessage {
                body: Arc::new(body.into()),
                at: Timetoken(at),
            });
        }
        state
            .expiring
            .insert(9, Instant::now() + Duration::from_secs(60));
        let mut arrived = ReplayState::new(7);
        let (mut pages, mut next) = (0, Some(7));
        while let Some(from) = next {
            let page = Page::of(&state, from);
            let text = serde_json::to_string(&page).unwrap();
            let page: Page = serde_json::from_str(&text).unwrap();
            next = page.is_more.then(|| page.next());
            assert!(page.clone().add_to(&mut arrived));
            assert!(!page.add_to(&mut arrived), "twice");
            pages += 1;
        }
        assert!(arrived.kept == state.kept, "all of it, in order");
        assert_eq!(pages, 3);
        assert_eq!(arrived.expiring.keys().collect::<Vec<_>>(), [&9]);
        assert!(!Page::of(&ReplayState::new(3), 3).is_more);
    }
}
