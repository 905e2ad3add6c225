//! Sessions that are written down: how they are remembered, and taken up again.

use std::{
    collections::{BTreeSet, hash_map::Entry},
    sync::{Arc, Weak},
};

use bytestring::ByteString;
use futures_util::future::try_join_all;
use polywire_core::{JsonText, NodeId, Registry, RegistryError, Space};

use super::{
    Seat, Sessions,
    moving::{MQTT, Moving, Step},
    record::Record,
};
use crate::{session::Session, shared::Shared};

/// Bytes of sessions without the messages that wait, of all nodes.
const RECORDS_BYTES_MAX: usize = 256 << 20;

/// Sessions that are read at the same time.
const TAKEN_UP_AT_ONCE: usize = 1000;

impl Sessions {
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
                let record = Record::read(&text)?;
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
            let node = record
                .and_then(Record::read)
                .map(|record| NodeId(record.node));
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
        let Some(mut record) = self.record(id, &shared.space).await? else {
            return Ok(None);
        };
        let node = NodeId(record.node);
        let moving = moving.filter(|_| node != shared.space.hub().node());
        if let Some(moving) = moving {
            moving.ask(node, id, Step::Close).await;
            // A node whose store is its own has ended it.
            let Some(written) = self.record(id, &shared.space).await? else {
                return Ok(None);
            };
            record = written;
            if !self.ledgers.are_shared().await {
                // Its node is gone, and what waited with it.
                self.erase(id, &shared.space).await?;
                return Ok(None);
            }
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
        Ok(text.and_then(|text| Record::read(&text)))
    }

    pub(super) async fn erase(
        &self,
        id: &ByteString,
        space: &Arc<Space>,
    ) -> Result<(), RegistryError> {
        let records = self.records(space).await?;
        records.change(vec![(id.to_string(), None)]).await
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
}
