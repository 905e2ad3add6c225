//! Tokens that were taken back.

use std::{collections::HashMap, time::SystemTime};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::{hmac, token::Token};

/// Tokens that are remembered: each for as long as it would have counted.
const TOKENS_MAX: usize = 100_000;

/// Tokens that were taken back, on this node.
#[derive(Debug, Default)]
pub(super) struct Revoked(Mutex<HashMap<[u8; hmac::LENGTH], SystemTime, RandomState>>);

impl Revoked {
    /// False when there is no room.
    pub(super) fn add(&self, token: &Token) -> bool {
        let mut tokens = self.0.lock();
        if tokens.len() >= TOKENS_MAX {
            let now = SystemTime::now();
            tokens.retain(|_, end| *end > now);
            if tokens.len() >= TOKENS_MAX {
                return false;
            }
        }
        tokens.insert(token.signature, token.end);
        true
    }

    pub(super) fn contains(&self, token: &Token) -> bool {
        self.0.lock().contains_key(&token.signature)
    }
}
