//! Lost nodes: the code behind a hub is told by another node that their connections have ended.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

use polywire_core::{NodeId, Space};
use tokio::sync::Semaphore;

use crate::{
    connection_records::{ConnectionRecord, ConnectionRecords},
    event_handlers::EventHandlers,
    names::NAME,
};

/// Calls of handlers at a time.
const CALLS_MAX: usize = 32;

/// Why their connections ended.
const REASON: &str = "The server of the connection is gone";

/// Tells of the connections of nodes that are gone, as far as that falls to this one.
pub(crate) struct LostNodes {
    space: Weak<Space>,
    handlers: Arc<EventHandlers>,
    records: Arc<ConnectionRecords>,
}

impl LostNodes {
    /// Begins to look for them, where there are other nodes and code that is told.
    pub(crate) fn watch(
        space: &Arc<Space>,
        handlers: &Arc<EventHandlers>,
        records: &Arc<ConnectionRecords>,
    ) {
        if !space.is_shared() || !handlers.are_told_of_ends() {
            return;
        }
        let lost = Self {
            space: Arc::downgrade(space),
            handlers: handlers.clone(),
            records: records.clone(),
        };
        let stopping = space.runtime().stopping();
        space.runtime().spawn(async move {
            tokio::select! {
                () = lost.run() => {}
                () = stopping.cancelled() => {}
            }
        });
    }

    async fn run(self) {
        let Some(mut changes) = self.space.upgrade().map(|space| space.nodes().watch()) else {
            return;
        };
        let mut seen = BTreeSet::new();
        loop {
            match self.orphans(&mut seen).await {
                Some(orphans) => self.tell(orphans).await,
                None => return,
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Connections of nodes that are gone, of which this one is to tell; `None` when the server has stopped.
    async fn orphans(
        &self,
        seen: &mut BTreeSet<NodeId>,
    ) -> Option<Vec<(String, ConnectionRecord)>> {
        let space = self.space.upgrade()?;
        let nodes = space.nodes();
        seen.extend(nodes.others(NAME));
        // One that was there is not waited for.
        let is_gone =
            |node: NodeId| nodes.is_gone(node) || (seen.contains(&node) && !nodes.is_there(node));
        let records = match self.records.all().await {
            Ok(records) => records,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "connections of other nodes cannot be read");
                return Some(Vec::new());
            }
        };
        let own = nodes.own();
        let orphans = records.into_iter().filter(|(id, record)| {
            record.node() != own && is_gone(record.node()) && nodes.choose(NAME, id) == Some(own)
        });
        Some(orphans.collect())
    }

    /// Returns when all are told of.
    async fn tell(&self, orphans: Vec<(String, ConnectionRecord)>) {
        let calls = Arc::new(Semaphore::new(CALLS_MAX));
        for (id, record) in orphans {
            let handler = self.handlers.named(record.hub()).cloned();
            // Nodes have the same handlers, or nobody could be told.
            let (Some(handler), Some(space)) = (handler, self.space.upgrade()) else {
                continue;
            };
            let Ok(permit) = calls.clone().acquire_owned().await else {
                return;
            };
            let records = self.records.clone();
            space.runtime().spawn(async move {
                let described = record.described(id);
                handler.disconnected(&described, REASON).await;
                records.erase(&described.id).await;
                drop(permit);
            });
        }
        // CALLS_MAX is a small number.
        let _ = calls.acquire_many(CALLS_MAX as u32).await;
    }
}
