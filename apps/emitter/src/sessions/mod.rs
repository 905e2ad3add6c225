//! Who has which client id on this node, also while away, and what is written down of them.

mod ledger;
mod moving;
mod record;

pub(crate) use self::ledger::{Kept, Ledger};

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use polywire_core::{JsonText, NodeId, Registry, RegistryError, Space, Timetoken};
use rmqtt_codec::v5::DisconnectReasonCode;
use tokio::{
    sync::OnceCell,
    time::{MissedTickBehavior, interval},
};

use self::{
    ledger::Ledgers,
    moving::{MQTT, Moving, Step},
    record::Record,
};

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

/// Sessions that are read at the same time.
const TAKEN_UP_AT_ONCE: usize = 1000;

/// The sessions of this node, by client id.
pub(crate) struct Sessions {
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

/// The place of one connection, or of a client that is away. Whoever has the session may use it: a further
/// connection of the same client id takes it, as soon as the packet is done that the earlier one is at.
pub(crate) struct Seat {
    contact: Option<Arc<Contact>>,
    /// What was published before is not about it.
    since: Timetoken,
    pub(crate) session: tokio::sync::Mutex<Option<Box<Session>>>,
}

impl Seat {
    pub(crate) fn new(contact: Option<Arc<Contact>>, space: &Space) -> Arc<Self> {
        Arc::new(Self {
            contact,
            since: space.hub().clock().tick(),
            session: tokio::sync::Mutex::default(),
        })
    }

    /// Ends the connection, and gives its session.
    pub(crate) async fn give_up(&self) -> Option<Box<Session>> {
        self.disconnect();
        self.session.lock().await.take()
    }

    fn disconnect(&self) {
        if let Some(contact) = &self.contact {
            contact.disconnect(DisconnectReasonCode::SessionTakenOver);
        }
    }
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

    /// Takes up the sessions of before a restart. What cannot be read now is tried again when their clients come.
    pub(crate) async fn open(&self, shared: &Arc<Shared>) {
        self.ledgers.probe().await;
        self.moving.get_or_init(|| Moving::begin(shared)).await;
        let opened = match self.records(&shared.space).await {
            // Another node may have them.
            Ok(_) if shared.space.is_shared() => {
                tokio::spawn(Self::adopt(Arc::downgrade(shared)));
                Ok(())
            }
            Ok(records) => {
                let all = records.beginning_with("").into_iter();
                let ids: Vec<_> = all.map(|(id, _)| id.into()).collect();
                self.take_up_all(&ids, shared).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "sessions of MQTT clients cannot be read yet");
        }
    }

    async fn take_up_all(
        &self,
        ids: &[ByteString],
        shared: &Arc<Shared>,
    ) -> Result<(), RegistryError> {
        for some in ids.chunks(TAKEN_UP_AT_ONCE) {
            try_join_all(some.iter().map(|id| self.take_up(id, shared))).await?;
        }
        Ok(())
    }

    /// Takes up the sessions of nodes that are gone, as far as they are this one's to take.
    async fn adopt(shared: Weak<Shared>) {
        let Some(mut changes) = shared.upgrade().map(|shared| shared.space.nodes().watch()) else {
            return;
        };
        let mut seen = BTreeSet::new();
        loop {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let nodes = shared.space.nodes();
            seen.extend(nodes.others(MQTT));
            // One that was there is not waited for.
            let is_gone = |node: NodeId| {
                nodes.is_gone(node) || (seen.contains(&node) && !nodes.is_there(node))
            };
            let (sessions, own) = (&shared.sessions, nodes.own());
            let records = match sessions.records(&shared.space).await {
                Ok(records) => records.beginning_with(""),
                Err(_) => Vec::new(),
            };
            let orphans = records.into_iter().filter_map(|(id, text)| {
                let record: Record = serde_json::from_str(text.as_str()).ok()?;
                let is_own = || nodes.choose(MQTT, &id) == Some(own);
                (is_gone(NodeId(record.node)) && is_own()).then(|| ByteString::from(id))
            });
            let orphans: Vec<_> = orphans.collect();
            if let Err(error) = sessions.take_up_all(&orphans, &shared).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "sessions of a node that is gone cannot be read yet");
            }
            drop(shared);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn records(&self, space: &Arc<Space>) -> Result<&Arc<Registry>, RegistryError> {
        let (shared, own) = (self.shared.clone(), space.hub().node());
        let on_change = move |id: &str, record: Option<&JsonText>| {
            let record = record.and_then(|text| serde_json::from_str(text.as_str()).ok());
            let node = record.map(|record: Record| NodeId(record.node));
            if let (Some(node), Some(shared)) = (node.filter(|node| *node != own), shared.upgrade())
                && shared.sessions.seats.lock().contains_key(id)
            {
                let id = ByteString::from(id);
                tokio::spawn(async move { shared.sessions.yield_to(node, &id, &shared).await });
            }
        };
        let open = || {
            Registry::open(
                space,
                "mqtt/sessions",
                RECORDS_BYTES_MAX,
                Box::new(on_change),
            )
        };
        self.records.get_or_try_init(open).await
    }

    /// Lets a session that was written down wait for its client here.
    async fn take_up(&self, id: &ByteString, shared: &Arc<Shared>) -> Result<(), RegistryError> {
        let seat = Seat::new(None, &shared.space);
        // Its client may come meanwhile: it waits for this.
        let mut place = seat.session.lock().await;
        match self.seats.lock().entry(id.clone()) {
            Entry::Occupied(_) => return Ok(()),
            Entry::Vacant(entry) => entry.insert(seat.clone()),
        };
        let recalled = self.recall(id, true, shared).await;
        let Ok(Some(mut session)) = recalled else {
            self.stand_up(id, &seat);
            return recalled.map(drop);
        };
        if let Some(absence) = session.absence {
            self.look_after(id, absence);
        }
        let remembered = match shared.space.is_shared() {
            true => self.remember(&mut session, &shared.space).await,
            false => Ok(()),
        };
        *place = Some(session);
        remembered
    }

    /// The session that was written down of a client, as one that is away. Where another node has it, it comes here.
    /// `goes_on`: the client asks for it.
    ///
    /// # Errors
    /// When it is not known whether there is one, or it cannot be read.
    pub(crate) async fn recall(
        &self,
        id: &ByteString,
        goes_on: bool,
        shared: &Shared,
    ) -> Result<Option<Box<Session>>, RegistryError> {
        let moving = self.moving.get().and_then(Option::as_ref);
        if let Some(moving) = moving
            && self.record(id, &shared.space).await?.is_none()
        {
            match goes_on {
                // It may only just have come to another node.
                true => moving.ask_all(id).await,
                false => moving.announce(id),
            }
        }
        let Some(record) = self.record(id, &shared.space).await? else {
            return Ok(None);
        };
        let node = NodeId(record.node);
        let moving = moving.filter(|_| node != shared.space.hub().node());
        if let Some(moving) = moving {
            moving.ask(node, id, Step::Close).await;
        }
        // A node whose store is its own has ended it.
        let Some(mut record) = self.record(id, &shared.space).await? else {
            return Ok(None);
        };
        if moving.is_some() && !self.ledgers.are_shared().await {
            // Its node is gone, and what waited with it.
            self.erase(id, &shared.space).await?;
            return Ok(None);
        }
        let ledger = self.ledgers.begin(id);
        let Some(mut session) = record.restore(id, ledger, shared).await else {
            return Ok(None);
        };
        if let Some(moving) = moving {
            moving.ask(node, id, Step::Leave).await;
            record = self.record(id, &shared.space).await?.unwrap_or(record);
        }
        let kept = self.ledgers.read(id).await?;
        record.complete(&mut session, kept, shared).await;
        Ok(Some(session))
    }

    async fn record(
        &self,
        id: &ByteString,
        space: &Arc<Space>,
    ) -> Result<Option<Record>, RegistryError> {
        let text = self.records(space).await?.get(id);
        Ok(text.and_then(|text| serde_json::from_str(text.as_str()).ok()))
    }

    async fn erase(&self, id: &ByteString, space: &Arc<Space>) -> Result<(), RegistryError> {
        let records = self.records(space).await?;
        records.change(vec![(id.to_string(), None)]).await
    }

    /// The client of a connection has come to another node; what was published before the connection began is not
    /// about it.
    async fn close(&self, id: &ByteString, at: Timetoken, shared: &Shared) {
        let seat = self.seats.lock().get(id).cloned();
        let Some(seat) = seat.filter(|seat| seat.since < at) else {
            return;
        };
        seat.disconnect();
        if self.ledgers.are_shared().await {
            self.part(shared, &seat).await;
        } else if let Some(session) = seat.session.lock().await.take() {
            // What waits cannot be read elsewhere: its client is told that it begins anew.
            self.end(session, shared).await;
            self.stand_up(id, &seat);
        }
    }

    /// Another node gets a session.
    async fn leave(&self, id: &ByteString, shared: &Shared) {
        let Some(seat) = self.seats.lock().get(id).cloned() else {
            return;
        };
        let mut place = seat.session.lock().await;
        self.give(id, &seat, place.take(), shared).await;
    }

    async fn give(
        &self,
        id: &ByteString,
        seat: &Arc<Seat>,
        session: Option<Box<Session>>,
        shared: &Shared,
    ) {
        seat.disconnect();
        if let Some(session) = session {
            session.detach(shared).await;
            self.ledgers.close(id).await;
            self.ledgers.leave(id);
        }
        self.stand_up(id, seat);
    }

    /// Another node says that it has a session: after two could not reach each other both may.
    async fn yield_to(&self, node: NodeId, id: &ByteString, shared: &Shared) {
        let Some(seat) = self.seats.lock().get(id).cloned() else {
            return;
        };
        // Whoever is about to take it says so before this goes on.
        let mut place = seat.session.lock().await;
        let text = self.records.get().and_then(|records| records.get(id));
        let record = text.and_then(|text| serde_json::from_str(text.as_str()).ok());
        if record.is_some_and(|record: Record| NodeId(record.node) == node) {
            self.give(id, &seat, place.take(), shared).await;
        }
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
