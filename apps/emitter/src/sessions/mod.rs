//! Who has which client id on this node, also while away, and what is written down of them.

mod ledger;
mod record;

pub(crate) use self::ledger::Ledger;

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
use polywire_core::{JsonText, Registry, RegistryError, Space};
use rmqtt_codec::v5::DisconnectReasonCode;
use tokio::{
    sync::OnceCell,
    time::{MissedTickBehavior, interval},
};

use self::{ledger::Ledgers, record::Record};

use crate::{
    budget::Budget,
    contact::Contact,
    keys::now,
    session::{Absence, Session},
    settings::SessionLimits,
    shared::Shared,
};

/// Bytes of sessions without the messages that wait, of all nodes.
const RECORDS_BYTES_MAX: usize = 256 << 20;

/// The sessions of this node, by client id.
pub(crate) struct Sessions {
    seats: Mutex<HashMap<ByteString, Arc<Seat>>>,
    /// Clients that are away, by the second in which something is to be done for them.
    due: Mutex<BTreeSet<(u64, ByteString)>>,
    /// Clients that are not away.
    connected: AtomicUsize,
    limits: SessionLimits,
    pub(crate) budget: Arc<Budget>,
    records: OnceCell<Arc<Registry>>,
    pub(crate) ledgers: Arc<Ledgers>,
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
    pub(crate) fn new(space: &Arc<Space>, limits: SessionLimits) -> Self {
        Self {
            seats: Mutex::default(),
            due: Mutex::default(),
            connected: AtomicUsize::new(0),
            limits,
            budget: Arc::new(Budget::new(limits.bytes_max)),
            records: OnceCell::new(),
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

    /// Takes up the sessions of before a restart. What cannot be read now is tried again when their clients come.
    pub(crate) async fn open(&self, shared: &Shared) {
        if let Err(error) = self.take_up_all(shared).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "sessions of MQTT clients cannot be read yet");
        }
    }

    async fn take_up_all(&self, shared: &Shared) -> Result<(), RegistryError> {
        let records = self.records(&shared.space).await?;
        if shared.space.is_shared() {
            // Another node may have them.
            return Ok(());
        }
        for (id, _) in records.beginning_with("") {
            self.take_up(&id.into(), shared).await?;
        }
        Ok(())
    }

    async fn records(&self, space: &Arc<Space>) -> Result<&Arc<Registry>, RegistryError> {
        let open = || {
            Registry::open(
                space,
                "mqtt/sessions",
                RECORDS_BYTES_MAX,
                Box::new(|_, _| {}),
            )
        };
        self.records.get_or_try_init(open).await
    }

    /// Lets a session that was written down wait for its client here.
    async fn take_up(&self, id: &ByteString, shared: &Shared) -> Result<(), RegistryError> {
        let seat = Seat::new(None);
        let mut place = seat.session.lock().await;
        if let Some(session) = self.recall(id, shared).await? {
            if let Some(absence) = session.absence {
                self.look_after(id, absence);
            }
            *place = Some(session);
            drop(place);
            self.sit(id, seat);
        }
        Ok(())
    }

    /// The session that was written down of a client, as one that is away.
    ///
    /// # Errors
    /// When it is not known whether there is one, or it cannot be read.
    pub(crate) async fn recall(
        &self,
        id: &ByteString,
        shared: &Shared,
    ) -> Result<Option<Box<Session>>, RegistryError> {
        let records = self.records(&shared.space).await?;
        let record = records.get(id).and_then(|text| {
            let record: Option<Record> = serde_json::from_str(text.as_str()).ok();
            record
        });
        let Some(record) = record else {
            return Ok(None);
        };
        let waiting = self.ledgers.read(id).await?;
        let ledger = self.ledgers.begin(id);
        Ok(record.restore(id, ledger, waiting, shared).await)
    }

    /// Writes a session down.
    ///
    /// # Errors
    /// When it is not remembered.
    pub(crate) async fn remember(
        &self,
        session: &mut Session,
        space: &Arc<Space>,
    ) -> Result<(), RegistryError> {
        let record = Record::of(session, space.hub().node());
        let text = JsonText::of(&record).unwrap_or_else(|_| JsonText::null());
        let records = self.records(space).await?;
        session.is_written = true;
        let change = (session.id.to_string(), Some(text));
        records.change(vec![change]).await
    }

    /// Ends a session, and forgets what was written down of it.
    pub(crate) async fn end(&self, session: Box<Session>, shared: &Shared) {
        let (id, was_written) = (session.id.clone(), session.is_written);
        session.end(shared).await;
        if !was_written {
            return;
        }
        self.ledgers.forget(&id).await;
        let forgotten = match self.records(&shared.space).await {
            Ok(records) => records.change(vec![(id.to_string(), None)]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
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
        let id = session.id.clone();
        if session.lasts() {
            session.depart(shared).await;
            if let Some(absence) = session.absence {
                self.look_after(&id, absence);
            }
            self.ledgers.close(&id).await;
            if let Err(error) = self.remember(session, &shared.space).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, client = %id, "a session may not outlive the server");
            }
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
        }
    }
}
