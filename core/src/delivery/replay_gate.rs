//! The replay gate: keeps back what is published while a client is given stored messages.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

use crate::publication::{Publication, Timetoken};

/// Bytes of publications that may be held.
const BYTES_MAX: usize = 4 << 20;
/// What a publication costs besides what it says.
const OVERHEAD: usize = 512;
/// By how much a message may be delivered later than a younger one of another channel was: a message is read
/// from the store before it is delivered, and that takes no longer.
const LATE: u64 = 10 * 10_000_000;

/// Keeps back what is published until what was stored has been sent, so that nothing comes twice, or before what
/// is older.
///
/// A gate is open at first. [`close`](Self::close) it before the store is read, ask it about every publication, and
/// [`open`](Self::open) it with what was read. Of what passes later it still holds back what was read: a publication
/// can be read before it is delivered.
#[derive(Debug, Default)]
pub struct ReplayGate {
    /// False where nothing was read, or not lately.
    is_active: AtomicBool,
    /// None where it is not active, which is nearly always.
    state: Mutex<Option<Box<GateState>>>,
}

#[derive(Debug)]
struct GateState {
    is_holding: bool,
    /// More came than may be held.
    is_overflown: bool,
    held: Vec<Publication>,
    bytes: usize,
    read: AlreadyRead,
}

/// What was read from the store, and may still be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlreadyRead {
    /// Everything of one channel that is stored, up to this one.
    UpTo(Timetoken),
    /// These, of any channels.
    These(HashSet<Timetoken>),
}

/// What becomes of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum GateDecision {
    /// It passes.
    Deliver,
    /// It is held, or was sent already.
    Keep,
    /// More came than may be held, which is 4 MiB.
    Overflow,
}

/// More came than may be held. The gate holds on from here: read the store up to now, or do without what is missing,
/// then open it again.
#[derive(Debug, thiserror::Error)]
#[error("more was published than may be held back")]
pub struct GateOverflow {
    /// What was held before it was too much.
    pub held: Vec<Publication>,
}

impl AlreadyRead {
    /// True for a publication that was read.
    pub fn contains(&self, publication: &Publication) -> bool {
        let at = publication.position().timetoken;
        match self {
            // What is not stored is in no history.
            Self::UpTo(last) => publication.retention.store && at <= *last,
            Self::These(read) => read.contains(&at),
        }
    }

    fn newest(&self) -> Timetoken {
        match self {
            Self::UpTo(last) => *last,
            Self::These(read) => read.iter().max().copied().unwrap_or_default(),
        }
    }

    /// True when nothing can come again.
    fn is_empty(&self) -> bool {
        self.newest() == Timetoken::default()
    }
}

impl GateState {
    fn holding() -> Self {
        Self {
            is_holding: true,
            is_overflown: false,
            held: Vec::new(),
            bytes: 0,
            read: AlreadyRead::UpTo(Timetoken::default()),
        }
    }

    fn hold(&mut self, publication: &Publication) -> GateDecision {
        self.bytes = self.bytes.saturating_add(publication.bytes() + OVERHEAD);
        if self.bytes > BYTES_MAX {
            self.is_overflown = true;
            return GateDecision::Overflow;
        }
        self.held.push(publication.clone());
        GateDecision::Keep
    }
}

impl ReplayGate {
    /// A gate that is closed from the start.
    pub fn closed() -> Self {
        let gate = Self::default();
        gate.close();
        gate
    }

    /// Keeps back what is published from now on; what is held already stays.
    pub fn close(&self) {
        let mut state = self.state.lock();
        if state.as_ref().is_none_or(|state| !state.is_holding) {
            *state = Some(Box::new(GateState::holding()));
        }
        self.is_active.store(true, Ordering::Release);
    }

    /// True for a publication that is held, by its time.
    pub fn holds(&self, at: Timetoken) -> bool {
        let state = self.state.lock();
        let held = state.iter().flat_map(|state| &state.held);
        held.map(|one| one.position().timetoken)
            .any(|held| held == at)
    }

    /// What becomes of a publication that is being delivered.
    pub fn decide(&self, publication: &Publication) -> GateDecision {
        if !self.is_active.load(Ordering::Acquire) {
            return GateDecision::Deliver;
        }
        let mut active = self.state.lock();
        let Some(state) = active.as_mut() else {
            return GateDecision::Deliver;
        };
        if state.is_holding {
            return state.hold(publication);
        }
        if state.read.contains(publication) {
            return GateDecision::Keep;
        }
        let at = publication.position().timetoken;
        if at.0 > state.read.newest().0.saturating_add(LATE) {
            *active = None;
            self.is_active.store(false, Ordering::Release);
        }
        GateDecision::Deliver
    }

    /// Gives `stored` to `deliver`, with what was held meanwhile and is not `read`, in the order of time: messages of
    /// several channels were read one channel after the other. Then everything passes that was not read. `deliver` is
    /// told whether a message was stored. It is called under the gate's lock, for which what comes meanwhile waits.
    ///
    /// # Errors
    /// [`GateOverflow`] when more came than may be held: nothing is delivered.
    pub fn open(
        &self,
        stored: &[Arc<Publication>],
        read: &AlreadyRead,
        mut deliver: impl FnMut(&Publication, bool),
    ) -> Result<(), GateOverflow> {
        let mut state = self.state.lock();
        let holding = state.replace(Box::new(GateState::holding()));
        let mut held = match holding {
            Some(holding) if holding.is_overflown => {
                return Err(GateOverflow { held: holding.held });
            }
            Some(holding) => holding.held,
            None => Vec::new(),
        };
        held.retain(|one| !read.contains(one));
        let stored = stored.iter().map(|one| (&**one, true));
        let mut all: Vec<_> = stored.chain(held.iter().map(|one| (one, false))).collect();
        all.sort_by_key(|(one, _)| one.position().timetoken);
        for (one, was_stored) in all {
            deliver(one, was_stored);
        }
        *state = (!read.is_empty()).then(|| {
            Box::new(GateState {
                is_holding: false,
                read: read.clone(),
                ..GateState::holding()
            })
        });
        self.is_active.store(state.is_some(), Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, Draft, Payload, Position};

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
        gate.close();
        assert_eq!(gate.decide(&publication(4, 1)), GateDecision::Keep);
        assert!(gate.holds(Timetoken(2)) && !gate.holds(Timetoken(3)));
        let mut delivered = Vec::new();
        let read = [2, 3, 5].map(|at| Arc::new(publication(at, 1)));
        let known = read.iter().map(|one| one.position().timetoken).collect();
        let opened = gate.open(&read, &AlreadyRead::These(known), |one, was_read| {
            delivered.push((one.position().timetoken.0, was_read));
        });
        assert!(opened.is_ok());
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
        // It says so once, and holds on: the store is read up to now.
        let never = |_: &Publication, _| panic!("what was given up is delivered");
        let read = AlreadyRead::UpTo(Timetoken(1));
        assert!(gate.open(&[], &read, never).is_err());
        assert_eq!(gate.decide(&publication(2, 1)), GateDecision::Keep);
        let mut delivered = Vec::new();
        let opened = gate.open(&[], &read, |one, _| {
            delivered.push(one.position().timetoken.0);
        });
        assert!(opened.is_ok());
        assert_eq!(delivered, [2]);
    }
}
