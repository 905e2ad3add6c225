//! The replay gate: keeps back what is published while a client is given stored messages.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
pub(crate) struct ReplayGate {
    /// False for a client that never asked for stored messages, or not lately.
    is_active: AtomicBool,
    /// None where it is not active, which is nearly always.
    state: Mutex<Option<Box<State>>>,
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
pub(crate) enum GateDecision {
    Deliver,
    /// It is held, or was sent already.
    Keep,
    /// More came than may be held.
    Overflow,
}

impl ReplayGate {
    /// Keeps back what is published from now on.
    pub(crate) fn close(&self) {
        *self.state.lock() = Some(Box::new(State {
            is_holding: true,
            ..State::default()
        }));
        self.is_active.store(true, Ordering::Release);
    }

    pub(crate) fn decide(&self, publication: &Publication) -> GateDecision {
        if !self.is_active.load(Ordering::Acquire) {
            return GateDecision::Deliver;
        }
        let mut active = self.state.lock();
        let Some(state) = active.as_mut() else {
            return GateDecision::Deliver;
        };
        if state.is_holding {
            state.bytes += publication.payload.len() + OVERHEAD;
            if state.bytes > BYTES_MAX {
                return GateDecision::Overflow;
            }
            state.held.push(publication.clone());
            return GateDecision::Keep;
        }
        let at = publication.position().timetoken;
        if state.read.contains(&at) {
            return GateDecision::Keep;
        }
        if at.0 > state.newest.0.saturating_add(LATE) {
            *active = None;
            self.is_active.store(false, Ordering::Release);
        }
        GateDecision::Deliver
    }

    /// Gives what was read to `deliver`, with what was held meanwhile and is not `known`, in the order of time:
    /// messages of several channels were read one channel after the other. Then everything passes. `deliver`
    /// is told whether a message was read.
    pub(crate) fn open(
        &self,
        read: Vec<Arc<Publication>>,
        known: HashSet<Timetoken>,
        mut deliver: impl FnMut(&Publication, bool),
    ) {
        let at = |publication: &Publication| publication.position().timetoken;
        let newest = known.iter().max().copied().unwrap_or_default();
        let mut read = read;
        loop {
            let mut state = self.state.lock();
            let held = state.as_mut().map(|state| std::mem::take(&mut state.held));
            let mut held = held.unwrap_or_default();
            if held.is_empty() && read.is_empty() {
                self.is_active.store(!known.is_empty(), Ordering::Release);
                *state = (!known.is_empty()).then(|| {
                    Box::new(State {
                        read: known,
                        newest,
                        ..State::default()
                    })
                });
                return;
            }
            drop(state);
            held.retain(|one| !known.contains(&at(one)));
            let stored = std::mem::take(&mut read);
            let stored = stored.iter().map(|one| (&**one, true));
            let mut all: Vec<_> = stored.chain(held.iter().map(|one| (one, false))).collect();
            all.sort_by_key(|(one, _)| at(one));
            for (one, was_read) in all {
                deliver(one, was_read);
            }
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
    fn what_was_read_and_what_came_meanwhile_comes_once_and_in_order() {
        let gate = ReplayGate::default();
        assert_eq!(gate.decide(&publication(1, 1)), GateDecision::Deliver);
        gate.close();
        assert_eq!(gate.decide(&publication(2, 1)), GateDecision::Keep);
        assert_eq!(gate.decide(&publication(4, 1)), GateDecision::Keep);
        let mut delivered = Vec::new();
        let read = [2, 3, 5].map(|at| Arc::new(publication(at, 1)));
        let known = read.iter().map(|one| one.position().timetoken).collect();
        gate.open(read.into(), known, |one, was_read| {
            delivered.push((one.position().timetoken.0, was_read));
        });
        assert_eq!(delivered, [(2, true), (3, true), (4, false), (5, true)]);
        assert_eq!(
            gate.decide(&publication(3, 1)),
            GateDecision::Keep,
            "read, and late"
        );
        assert_eq!(gate.decide(&publication(6, 1)), GateDecision::Deliver);
        assert_eq!(
            gate.decide(&publication(6 + LATE, 1)),
            GateDecision::Deliver
        );
        assert!(
            !gate.is_active.load(Ordering::Relaxed),
            "nothing is kept for long"
        );
    }

    #[test]
    fn what_is_held_has_a_bound() {
        let gate = ReplayGate::default();
        gate.close();
        assert_eq!(
            gate.decide(&publication(1, BYTES_MAX)),
            GateDecision::Overflow
        );
    }
}
