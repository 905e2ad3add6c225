//! The start of the sessions of a node: those of before a restart, and of nodes that are gone.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use bytestring::ByteString;
use polywire_core::{NodeId, Timetoken};

use super::{
    manager::SessionManager,
    node_messages::{MQTT, NodeMessages, Step, StepHandler},
};
use crate::session::context::SessionContext;

impl SessionManager {
    /// The sessions of a node, none yet.
    pub(crate) fn start(context: SessionContext) -> Arc<Self> {
        let sessions = Arc::new_cyclic(|sessions: &Weak<Self>| {
            let sessions = sessions.clone();
            let on_claimed = move |id: &str, node: NodeId| {
                let Some(sessions) = sessions.upgrade() else {
                    return;
                };
                if sessions.slot(id).is_some() {
                    let id = ByteString::from(id);
                    tokio::spawn(async move { sessions.resolve_conflict(node, &id).await });
                }
            };
            Self::new(context, Arc::new(on_claimed))
        });
        tokio::spawn(Self::run(Arc::downgrade(&sessions)));
        tokio::spawn(Self::give_up_ended(Arc::downgrade(&sessions)));
        sessions
    }

    /// Takes up the sessions of before a restart. What cannot be read now is tried again when their clients come.
    pub(crate) async fn open(self: &Arc<Self>) {
        let space = &self.context.broker.space;
        self.context.broker.queue_logs.probe().await;
        let listen = || NodeMessages::begin(space, Arc::downgrade(self));
        self.nodes.get_or_init(listen).await;
        let opened = match self.records.ids().await {
            // Another node may have them.
            Ok(_) if space.is_shared() => {
                tokio::spawn(Self::adopt(Arc::downgrade(self)));
                Ok(())
            }
            Ok(ids) => self.restore_all(&ids).await,
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "sessions of MQTT clients cannot be read yet");
        }
    }

    /// Takes up the sessions of nodes that are gone, as far as they are this one's to take.
    async fn adopt(sessions: Weak<Self>) {
        let watch = |sessions: Arc<Self>| sessions.context.broker.space.nodes().watch();
        let Some(mut changes) = sessions.upgrade().map(watch) else {
            return;
        };
        let mut seen = BTreeSet::new();
        loop {
            let Some(sessions) = sessions.upgrade() else {
                return;
            };
            let nodes = sessions.context.broker.space.nodes();
            seen.extend(nodes.others(MQTT));
            // One that was there is not waited for.
            let is_gone = |node: NodeId| {
                nodes.is_gone(node) || (seen.contains(&node) && !nodes.is_there(node))
            };
            let own = nodes.own();
            let records = sessions.records.all().await.unwrap_or_default();
            let orphans = records.into_iter().filter_map(|(id, record)| {
                let is_own = || nodes.choose(MQTT, &id) == Some(own);
                (is_gone(record.node()) && is_own()).then_some(id)
            });
            let orphans: Vec<_> = orphans.collect();
            if let Err(error) = sessions.restore_all(&orphans).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "sessions of a node that is gone cannot be read yet");
            }
            drop(sessions);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

#[async_trait]
impl StepHandler for SessionManager {
    async fn handle(self: Arc<Self>, step: Step, id: ByteString, at: Timetoken) {
        match step {
            Step::Close => self.close_connection(&id, at).await,
            Step::Leave => self.release_to_other_node(&id).await,
        }
    }
}
