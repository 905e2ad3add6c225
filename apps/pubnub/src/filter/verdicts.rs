//! Verdicts of a filter on the latest messages, for all polls that have the filter.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// Messages whose verdicts are remembered: those of an answer, and some that come meanwhile.
const MESSAGES: usize = 128;

/// A verdict, once it is found: by one of the polls that want it.
pub(super) type Verdict = Arc<OnceCell<bool>>;

/// The verdicts on the latest messages, by their order.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<VecDeque<(u64, Verdict)>>);

impl Verdicts {
    pub(super) fn on(&self, order: u64) -> Verdict {
        let mut verdicts = self.0.lock();
        // The newest stand last.
        if let Some((_, verdict)) = verdicts.iter().rev().find(|(known, _)| *known == order) {
            return verdict.clone();
        }
        if verdicts.len() >= MESSAGES {
            verdicts.pop_front();
        }
        let verdict = Verdict::default();
        verdicts.push_back((order, verdict.clone()));
        verdict
    }
}
