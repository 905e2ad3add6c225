//! Who has which client id on this node, also while away.

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
use rmqtt_codec::v5::DisconnectReasonCode;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    budget::Budget, contact::Contact, keys::now, session::Session, settings::SessionLimits,
    shared::Shared,
};

/// The sessions of this node, by client id.
pub(crate) struct Sessions {
    seats: Mutex<HashMap<ByteString, Arc<Seat>>>,
    /// Clients that are away, by the second in which something is to be done for them.
    due: Mutex<BTreeSet<(u64, ByteString)>>,
    /// Clients that are not away.
    connected: AtomicUsize,
    limits: SessionLimits,
    pub(crate) budget: Arc<Budget>,
}

/// The place of one connection, or of a client that is away. Whoever has the session may use it: a further
/// connection of the same client id takes it, as soon as the packet is done that the earlier one is at.
pub(crate) struct Seat {
    contact: Option<Arc<Contact>>,
    pub(crate) session: tokio::sync::Mutex<Option<Box<Session>>>,
}

impl Seat {
    pub(crate) fn new(contact: Option<Arc<Contact>>) -> Arc<Self> {
        Arc::new(Self {
            contact,
            session: tokio::sync::Mutex::default(),
        })
    }

    /// Ends the connection, and gives its session.
    pub(crate) async fn give_up(&self) -> Option<Box<Session>> {
        if let Some(contact) = &self.contact {
            contact.disconnect(DisconnectReasonCode::SessionTakenOver);
        }
        self.session.lock().await.take()
    }
}

impl Sessions {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        Self {
            seats: Mutex::default(),
            due: Mutex::default(),
            connected: AtomicUsize::new(0),
            limits,
            budget: Arc::new(Budget::new(limits.bytes_max)),
        }
    }

    /// A connection begins to use a session.
    pub(crate) fn came(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    /// Clients that have a connection.
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// Clients with those that are away.
    pub(crate) fn total(&self) -> usize {
        self.seats.lock().len()
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
    pub(crate) fn look_at(&self, time: u64, id: &ByteString) {
        self.due.lock().insert((time, id.clone()));
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
            for (id, seat) in shared.sessions.due(now()) {
                shared.sessions.look(&shared, &id, &seat).await;
            }
        }
    }

    /// The connection of a seat has ended: its session ends too, or waits for its client.
    pub(crate) async fn part(&self, shared: &Shared, seat: &Arc<Seat>) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
        let mut place = seat.session.lock().await;
        let Some(session) = place.as_mut() else {
            // Another connection has taken it.
            return;
        };
        let id = session.id.clone();
        if session.lasts() {
            session.depart(shared).await;
            let Some(absence) = session.absence else {
                return;
            };
            self.look_at(absence.ends_at, &id);
            if let Some(at) = absence.will_at {
                self.look_at(at, &id);
            }
        } else {
            if let Some(session) = place.take() {
                session.end(shared).await;
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
                session.end(shared).await;
            }
            self.stand_up(id, seat);
        } else if absence.will_at.is_some_and(|at| at <= now()) {
            session.publish_will(shared).await;
        }
    }
}
