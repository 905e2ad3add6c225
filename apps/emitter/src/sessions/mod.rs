//! Who has which client id on this node, also while away, and what is written down of them.

mod handover;
mod ledger;
mod moving;
mod recall;
mod record;
mod seat;

pub(crate) use self::{
    ledger::{Kept, Ledger},
    seat::Seat,
};

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use parking_lot::Mutex;
use polywire_core::{Registry, Space};
use tokio::{
    sync::OnceCell,
    time::{MissedTickBehavior, interval},
};

use self::{ledger::Ledgers, moving::Moving};

use crate::{
    budget::Budget,
    keys::now,
    session::{Absence, Session},
    settings::SessionLimits,
    shared::Shared,
};

/// The sessions of this node, by client id.
pub(crate) struct Sessions {
    /// Whose they are.
    shared: Weak<Shared>,
    seats: Mutex<HashMap<ByteString, Arc<Seat>>>,
    /// Clients that are away, by the second in which something is to be done for them.
    due: Mutex<BTreeSet<(u64, ByteString)>>,
    /// Clients that are not away.
    connected: AtomicUsize,
    limits: SessionLimits,
    pub(crate) budget: Arc<Budget>,
    records: OnceCell<Arc<Registry>>,
    /// None where there can be no other nodes.
    moving: OnceCell<Option<Moving>>,
    pub(crate) ledgers: Arc<Ledgers>,
}

impl Sessions {
    pub(crate) fn new(shared: Weak<Shared>, space: &Arc<Space>, limits: SessionLimits) -> Self {
        Self {
            shared,
            seats: Mutex::default(),
            due: Mutex::default(),
            connected: AtomicUsize::new(0),
            limits,
            budget: Arc::new(Budget::new(limits.bytes_max)),
            records: OnceCell::new(),
            moving: OnceCell::new(),
            ledgers: Ledgers::new(space),
        }
    }

    /// A connection begins to use a session.
    pub(crate) fn came(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended.
    pub(crate) fn went(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    /// Clients that have a connection.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// Clients with those that are away.
    pub(crate) fn total(&self) -> usize {
        self.seats.lock().len()
    }

    /// Ends a session, and forgets what was written down of it.
    pub(crate) async fn end(&self, session: Box<Session>, shared: &Shared) {
        let (id, was_written) = (session.id.clone(), session.is_written);
        session.end(shared).await;
        if !was_written {
            return;
        }
        self.ledgers.forget(&id).await;
        if let Err(error) = self.erase(&id, &shared.space).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, client = %id, "a session that has ended may be there after a restart");
        }
    }

    /// How long a session lasts of a client that asks for so long.
    pub(crate) fn expiry_secs(&self, asked: u32) -> u32 {
        asked.min(self.limits.expiry_secs_max)
    }

    /// Takes the place of a client id; returns who had it.
    pub(crate) fn sit(&self, id: &ByteString, seat: Arc<Seat>) -> Option<Arc<Seat>> {
        self.seats.lock().insert(id.clone(), seat)
    }

    /// Gives up the place of a client id, unless another has it by now.
    pub(crate) fn stand_up(&self, id: &ByteString, seat: &Arc<Seat>) {
        let mut seats = self.seats.lock();
        if seats.get(id).is_some_and(|held| Arc::ptr_eq(held, seat)) {
            seats.remove(id);
        }
    }

    /// Looks after a client that is away, when the time has come.
    fn look_after(&self, id: &ByteString, absence: Absence) {
        let mut due = self.due.lock();
        due.insert((absence.ends_at, id.clone()));
        due.extend(absence.will_at.map(|at| (at, id.clone())));
    }

    fn due(&self, now: u64) -> Vec<(ByteString, Arc<Seat>)> {
        let mut due = self.due.lock();
        let later = due.split_off(&(now + 1, ByteString::new()));
        let now_due = std::mem::replace(&mut *due, later);
        drop(due);
        let seats = self.seats.lock();
        let found = now_due.into_iter();
        found
            .filter_map(|(_, id)| {
                let seat = seats.get(&id)?.clone();
                Some((id, seat))
            })
            .collect()
    }

    /// Publishes wills and ends sessions when their time has come, until the server stops.
    pub(crate) async fn watch(shared: Weak<Shared>) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(shared) = shared.upgrade() else {
                return;
            };
            if shared.space.runtime().stopping().is_cancelled() {
                return;
            }
            let sessions = &shared.sessions;
            for (id, seat) in sessions.due(now()) {
                sessions.look(&shared, &id, &seat).await;
            }
            sessions.ledgers.probe().await;
            sessions.ledgers.tidy().await;
        }
    }

    /// The connection of a seat has ended: its session ends too, or waits for its client.
    pub(crate) async fn part(&self, shared: &Shared, seat: &Arc<Seat>) {
        let mut place = seat.session.lock().await;
        let Some(session) = place.as_mut() else {
            // Another connection has taken it.
            return;
        };
        if session.absence.is_some() {
            return;
        }
        let id = session.id.clone();
        if session.lasts() {
            session.depart(shared).await;
            if let Some(absence) = session.absence {
                self.look_after(&id, absence);
            }
            self.ledgers.close(&id).await;
            self.remember_or_warn(session, shared).await;
        } else {
            if let Some(session) = place.take() {
                self.end(session, shared).await;
            }
            self.stand_up(&id, seat);
        }
    }

    async fn look(&self, shared: &Shared, id: &ByteString, seat: &Arc<Seat>) {
        let mut place = seat.session.lock().await;
        let Some(session) = place.as_mut() else {
            return;
        };
        let Some(absence) = session.absence else {
            // It has come back.
            return;
        };
        if absence.ends_at <= now() {
            if let Some(session) = place.take() {
                self.end(session, shared).await;
            }
            self.stand_up(id, seat);
        } else if absence.will_at.is_some_and(|at| at <= now()) {
            session.publish_will(shared).await;
            session.absence = Some(Absence {
                will_at: None,
                ..absence
            });
            self.remember_or_warn(session, shared).await;
        }
    }

    async fn remember_or_warn(&self, session: &mut Session, shared: &Shared) {
        if let Err(error) = self.remember(session, &shared.space).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, client = %session.id, "a session may not outlive the server");
        }
    }
}
