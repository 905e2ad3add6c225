//! The order in which things arrived, so that the oldest can be forgotten first.

use std::{collections::VecDeque, time::Instant};

use polywire_core::Channel;

/// Something that arrived and may be there still.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) order: u64,
    pub(super) channel: Channel,
    pub(super) presence: bool,
    pub(super) at: Instant,
}

/// Notes of what arrived, oldest first. A note may outlive what it is about.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    notes: VecDeque<Arrival>,
    stale: usize,
}

impl Arrivals {
    pub(super) fn push(&mut self, arrival: Arrival) {
        self.notes.push_back(arrival);
    }

    pub(super) fn oldest(&self) -> Option<&Arrival> {
        self.notes.front()
    }

    pub(super) fn pop(&mut self) -> Option<Arrival> {
        self.notes.pop_front()
    }

    /// Notes that one thing is not there any more. True when more notes are stale than not, so that going through
    /// them all is worth it.
    pub(super) fn note_stale(&mut self) -> bool {
        self.stale += 1;
        self.stale > self.notes.len() / 2 + 1024
    }

    /// Keeps what is there still.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Arrival) -> bool) {
        self.notes.retain(keep);
        self.stale = 0;
    }
}
