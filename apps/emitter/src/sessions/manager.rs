//! The sessions of this node, by client id: who has which, and when something is due for a client that is away.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use bytestring::ByteString;
use parking_lot::Mutex;
use polywire_core::RegistryError;
use tokio::{
    sync::OnceCell,
    time::{MissedTickBehavior, interval},
};

use super::{
    node_messages::NodeMessages,
    record::Record,
    records::{OnClaimed, SessionRecords},
    slot::SessionSlot,
};
use crate::{
    clock::now,
    session::{absence::Absence, context::SessionContext, state::Session},
};

/// The sessions of this node, by client id.
pub(crate) struct SessionManager {
    pub(crate) context: SessionContext,
    slots: Mutex<HashMap<ByteString, Arc<SessionSlot>>>,
    /// Clients that are away, by the second in which something is to be done for them.
    due: Mutex<BTreeSet<(u64, ByteString)>>,
    pub(super) records: SessionRecords,
    /// None where there can be no other nodes.
    pub(super) nodes: OnceCell<Option<NodeMessages<Self>>>,
}

impl SessionManager {
    pub(super) fn new(context: SessionContext, on_claimed: Arc<OnClaimed>) -> Self {
        Self {
            slots: Mutex::default(),
            due: Mutex::default(),
            records: SessionRecords::new(&context.broker.space, on_claimed),
            nodes: OnceCell::new(),
            context,
        }
    }

    /// Takes the slot of a client id; returns the one that it had.
    pub(super) fn claim(
        &self,
        id: &ByteString,
        slot: Arc<SessionSlot>,
    ) -> Option<Arc<SessionSlot>> {
        let mut slots = self.slots.lock();
        let before = slots.insert(id.clone(), slot);
        self.context.broker.counters.set_sessions(slots.len());
        before
    }

    /// Takes the slot of a client id that has none; false where it has one.
    pub(super) fn claim_if_free(&self, id: &ByteString, slot: &Arc<SessionSlot>) -> bool {
        let mut slots = self.slots.lock();
        if slots.contains_key(id) {
            return false;
        }
        slots.insert(id.clone(), slot.clone());
        self.context.broker.counters.set_sessions(slots.len());
        true
    }

    /// Gives up the slot of a client id, unless another has it by now.
    pub(crate) fn release(&self, id: &ByteString, slot: &Arc<SessionSlot>) {
        let mut slots = self.slots.lock();
        if slots.get(id).is_some_and(|held| Arc::ptr_eq(held, slot)) {
            slots.remove(id);
        }
        self.context.broker.counters.set_sessions(slots.len());
    }

    pub(super) fn slot(&self, id: &str) -> Option<Arc<SessionSlot>> {
        self.slots.lock().get(id).cloned()
    }

    /// Has something done for a client that is away, when the time has come.
    pub(crate) fn schedule(&self, id: &ByteString, absence: Absence) {
        let mut due = self.due.lock();
        due.insert((absence.ends_at, id.clone()));
        due.extend(absence.will_at.map(|at| (at, id.clone())));
    }

    fn due(&self, now: u64) -> Vec<(ByteString, Arc<SessionSlot>)> {
        let mut due = self.due.lock();
        let later = due.split_off(&(now + 1, ByteString::new()));
        let now_due = std::mem::replace(&mut *due, later);
        drop(due);
        let slots = self.slots.lock();
        let found = now_due.into_iter();
        found
            .filter_map(|(_, id)| {
                let slot = slots.get(&id)?.clone();
                Some((id, slot))
            })
            .collect()
    }

    /// Publishes wills and ends sessions when their time has come, until the server stops.
    pub(super) async fn run(sessions: Weak<Self>) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(sessions) = sessions.upgrade() else {
                return;
            };
            let broker = &sessions.context.broker;
            if broker.space.runtime().stopping().is_cancelled() {
                return;
            }
            for (id, slot) in sessions.due(now()) {
                sessions.on_timer(&id, &slot).await;
            }
            broker.retained.remove_expired();
            broker.queue_logs.probe().await;
            broker.queue_logs.trim_all().await;
        }
    }

    /// Gives up sessions that the server has ended, until it stops; those of clients that are away too.
    pub(super) async fn give_up_ended(sessions: Weak<Self>) {
        let Some((ended, stopping)) = sessions.upgrade().map(|sessions| {
            let broker = &sessions.context.broker;
            let stopping = broker.space.runtime().stopping();
            (broker.ended_sessions.clone(), stopping)
        }) else {
            return;
        };
        loop {
            let ids = tokio::select! {
                ids = ended.take() => ids,
                () = stopping.cancelled() => return,
            };
            let Some(sessions) = sessions.upgrade() else {
                return;
            };
            for id in ids {
                // One may be at a packet that waits for something.
                let sessions = sessions.clone();
                tokio::spawn(async move { sessions.give_up(&id).await });
            }
        }
    }

    async fn give_up(&self, id: &ByteString) {
        let Some(slot) = self.slot(id) else {
            return;
        };
        let mut held = slot.session.lock().await;
        if let Some(session) = held.take_if(|session| session.subscriber.has_ended()) {
            self.end(session).await;
            self.release(id, &slot);
        }
    }

    async fn on_timer(&self, id: &ByteString, slot: &Arc<SessionSlot>) {
        let mut held = slot.session.lock().await;
        let Some(session) = held.as_mut() else {
            return;
        };
        let Some(absence) = session.absence else {
            // It has come back.
            return;
        };
        if absence.is_over() {
            if let Some(session) = held.take() {
                self.end(session).await;
            }
            self.release(id, slot);
        } else if absence.is_will_due() {
            session.publish_will(&self.context).await;
            session.absence = Some(Absence {
                will_at: None,
                ..absence
            });
            self.remember_or_warn(session).await;
        }
    }

    /// The connection of a slot has ended: its session ends too, or waits for its client.
    pub(crate) async fn connection_closed(&self, slot: &Arc<SessionSlot>) {
        let mut held = slot.session.lock().await;
        slot.forget_connection();
        let Some(session) = held.as_mut() else {
            // Another connection has taken it.
            return;
        };
        if session.absence.is_some() {
            return;
        }
        let id = session.id.clone();
        if session.is_persistent() {
            session.client_left(&self.context).await;
            if let Some(absence) = session.absence {
                self.schedule(&id, absence);
            }
            self.context.broker.queue_logs.flush(&id).await;
            self.remember_or_warn(session).await;
        } else {
            if let Some(session) = held.take() {
                self.end(session).await;
            }
            self.release(&id, slot);
        }
    }

    /// Ends a session, and forgets what was written down of it.
    pub(crate) async fn end(&self, session: Box<Session>) {
        let (id, was_written) = (session.id.clone(), session.is_written);
        session.end(&self.context).await;
        if !was_written {
            return;
        }
        self.context.broker.queue_logs.delete(&id).await;
        if let Err(error) = self.records.erase(&id).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, client = %id, "a session that has ended may be there after a restart");
        }
    }

    /// Writes a session down.
    ///
    /// # Errors
    /// When it is not remembered.
    pub(crate) async fn remember(&self, session: &mut Session) -> Result<(), RegistryError> {
        self.records.ready().await?;
        session.is_written = true;
        let record = Record::of(session, self.context.broker.space.hub().node());
        self.records.write(&session.id, &record).await
    }

    async fn remember_or_warn(&self, session: &mut Session) {
        if let Err(error) = self.remember(session).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, client = %session.id, "a session may not outlive the server");
        }
    }
}
