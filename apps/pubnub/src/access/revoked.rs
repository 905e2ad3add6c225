//! Tokens that were taken back.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use polywire_core::JsonText;

use super::token::Token;

/// Tokens that would have ended and are forgotten with each one that is taken back.
const FORGOTTEN_AT_ONCE: usize = 100;

/// Tokens that were taken back, by their signatures, with when they would have ended. Each is remembered until
/// then.
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    tokens: Mutex<HashMap<String, SystemTime, RandomState>>,
    is_complete: AtomicBool,
}

fn key(token: &Token) -> String {
    token
        .signature
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Revoked {
    /// Notes that all that were taken back before are known now.
    pub(crate) fn mark_complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }

    /// A token was taken back, or is forgotten.
    pub(crate) fn set(&self, key: &str, end: Option<&JsonText>) {
        let end = end.and_then(|end| serde_json::from_str(end.as_str()).ok());
        let mut tokens = self.tokens.lock();
        match end {
            Some(seconds) => {
                let end = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
                tokens.insert(key.to_owned(), end.unwrap_or_else(SystemTime::now));
            }
            None => {
                tokens.remove(key);
            }
        }
    }

    /// What has to be changed for a token to be taken back: it is remembered, and some whose time is over are
    /// forgotten.
    pub(crate) fn changes(&self, token: &Token) -> Vec<(String, Option<JsonText>)> {
        let now = SystemTime::now();
        let end = token.end.duration_since(UNIX_EPOCH).unwrap_or_default();
        // Rather too long than too short.
        let end = JsonText::of(&(end.as_secs() + 1)).ok();
        let tokens = self.tokens.lock();
        let over = tokens.iter().filter(|(_, end)| **end < now);
        let over = over
            .take(FORGOTTEN_AT_ONCE)
            .map(|(key, _)| (key.clone(), None));
        over.chain([(key(token), end)]).collect()
    }

    /// Whether a token was taken back; `None` when that is not known now.
    pub(super) fn contains(&self, token: &Token) -> Option<bool> {
        let is_complete = self.is_complete.load(Ordering::Acquire);
        is_complete.then(|| self.tokens.lock().contains_key(&key(token)))
    }
}
