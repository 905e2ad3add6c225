//! What is published while a client is given stored messages.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use polywire_core::{Publication, Timetoken};

/// Bytes of payload that may be held.
const BYTES_MAX: usize = 4 << 20;
/// What a publication costs besides its payload.
const OVERHEAD: usize = 512;
/// By how much a message may be delivered later than a younger one of another channel was: a message is read
/// from the store before it is delivered, and that takes no longer.
const LATE: u64 = 10 * 10_000_000;

/// Keeps back what is published until what was stored has been sent, so that nothing comes twice, or before what
/// is older.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// False for a client that never asked for stored messages, or not lately.
    is_active: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_holding: bool,
    held: Vec<Publication>,
    bytes: usize,
    /// What was read from the store, and may still be delivered.
    read: HashSet<Timetoken>,
    newest: Timetoken,
}

/// What becomes of a publication.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Deliver,
    /// It is held, or was sent already.
    Keep,
    /// More came than may be held.
    TooMuch,
}

impl Hold {
    pub(crate) fn begin(&self) {
        let mut state = self.state.lock();
        *state = State {
            is_holding: true,
            ..State::default()
        };
        self.is_active.store(true, Ordering::Release);
    }

    pub(crate) fn fate(&self, publication: &Publication) -> Fate {
        if !self.is_active.load(Ordering::Acquire) {
            return Fate::Deliver;
        }
        let mut state = self.state.lock();
        if state.is_holding {
            state.bytes += publication.payload.len() + OVERHEAD;
            if state.bytes > BYTES_MAX {
                return Fate::TooMuch;
            }
            state.held.push(publication.clone());
            return Fate::Keep;
        }
        let at = publication.position().timetoken;
        if state.read.contains(&at) {
            return Fate::Keep;
        }
        if at.0 > state.newest.0.saturating_add(LATE) {
            *state = State::default();
            self.is_active.store(false, Ordering::Release);
        }
        Fate::Deliver
    }

    /// These were read and sent; gives what was held meanwhile to `deliver`, and lets everything through.
    pub(crate) fn end(&self, read: HashSet<Timetoken>, mut deliver: impl FnMut(&Publication)) {
        let newest = read.iter().max().copied().unwrap_or_default();
        loop {
            let mut state = self.state.lock();
            let held = std::mem::take(&mut state.held);
            if held.is_empty() {
                self.is_active.store(!read.is_empty(), Ordering::Release);
                *state = State {
                    read,
                    newest,
                    ..State::default()
                };
                return;
            }
            drop(state);
            let is_news = |one: &&Publication| !read.contains(&one.position().timetoken);
            held.iter().filter(is_news).for_each(&mut deliver);
        }
    }
}

#[cfg(test)]
mod tests {
    use polywire_core::{Channel, Draft, Payload, Position};

    use super::*;

    fn publication(at: u64, bytes: usize) -> Publication {
        let payload = Payload::text("x".repeat(bytes));
        Draft::new(Channel::new("a").unwrap(), payload).at(Position {
            timetoken: Timetoken(at),
            ..Position::default()
        })
    }

    #[test]
    fn what_was_read_comes_once_and_what_came_meanwhile_after_it() {
        let hold = Hold::default();
        assert_eq!(hold.fate(&publication(1, 1)), Fate::Deliver);
        hold.begin();
        assert_eq!(hold.fate(&publication(2, 1)), Fate::Keep);
        assert_eq!(hold.fate(&publication(4, 1)), Fate::Keep);
        let mut delivered = Vec::new();
        let read = HashSet::from([Timetoken(2), Timetoken(3)]);
        hold.end(read, |one| delivered.push(one.position().timetoken.0));
        assert_eq!(delivered, [4]);
        assert_eq!(hold.fate(&publication(3, 1)), Fate::Keep, "read, and late");
        assert_eq!(hold.fate(&publication(5, 1)), Fate::Deliver);
        assert_eq!(hold.fate(&publication(4 + LATE, 1)), Fate::Deliver);
        assert!(
            !hold.is_active.load(Ordering::Relaxed),
            "nothing is kept for long"
        );
    }

    #[test]
    fn what_is_held_has_a_bound() {
        let hold = Hold::default();
        hold.begin();
        assert_eq!(hold.fate(&publication(1, BYTES_MAX)), Fate::TooMuch);
    }
}
