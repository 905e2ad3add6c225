//! The budget: bytes that wait for all clients with sessions that outlive their connections.

use parking_lot::Mutex;
use polywire_core::{Draw, Held};

/// Bytes that all sessions together may keep for their clients; they are drawn from the memory budget of the process too.
#[derive(Debug)]
pub(crate) struct Budget {
    state: Mutex<BudgetState>,
    bytes_max: usize,
}

#[derive(Debug)]
struct BudgetState {
    bytes: usize,
    draw: Draw,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::new(BudgetState {
                bytes: 0,
                draw: Draw::new(Held::Kept),
            }),
            bytes_max,
        }
    }

    /// True when so many more may be kept. Several that ask at once may pass the bound by what each adds.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        let bytes = state.bytes.saturating_add(bytes);
        bytes <= self.bytes_max && state.draw.cover(bytes)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.state.lock().bytes += bytes;
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes -= bytes;
        let bytes = state.bytes;
        // Less can always be held.
        let _ = state.draw.cover(bytes);
    }
}
