//! Take-over: a client id has one connection and one session on all nodes, and the newest connection has them.
//!
//! 1. A client connects with an id that has a slot here: the earlier connection is ended, and its session handed over as
//!    soon as the packet is done that it is at ([`take_over`](SessionManager::take_over)).
//! 2. It connects to another node. That has this one close the earlier connection
//!    ([`close_connection`](SessionManager::close_connection)), and where messages are kept in a store that all nodes
//!    share, it takes the session too: it subscribes first, has this node leave
//!    ([`release_to_other_node`](SessionManager::release_to_other_node)), reads what waits, and leaves out of what came
//!    meanwhile what it has read. Where the store is this node's own the session ends here.
//! 3. Two nodes that could not reach each other may both have the session. The one that wrote it down last keeps it
//!    ([`resolve_conflict`](SessionManager::resolve_conflict)).

use std::sync::Arc;

use bytestring::ByteString;
use polywire_core::{NodeId, Timetoken};

use super::{manager::SessionManager, slot::SessionSlot};
use crate::session::state::Session;

impl SessionManager {
    /// Takes the slot of a client id. Who had it is disconnected; returns its session.
    pub(crate) async fn take_over(
        &self,
        id: &ByteString,
        slot: &Arc<SessionSlot>,
    ) -> Option<Box<Session>> {
        let before = self.claim(id, slot.clone())?;
        before.take_over().await
    }

    /// The client of a connection has come to another node; what was published before the connection began is not
    /// about it.
    pub(super) async fn close_connection(&self, id: &ByteString, at: Timetoken) {
        let Some(slot) = self.slot(id).filter(|slot| slot.since < at) else {
            return;
        };
        slot.disconnect();
        if self.context.broker.queue_logs.are_shared().await {
            self.connection_closed(&slot).await;
        } else if let Some(session) = slot.session.lock().await.take() {
            // What waits cannot be read elsewhere: its client is told that it begins anew.
            self.end(session).await;
            self.release(id, &slot);
        }
    }

    /// Another node gets a session.
    pub(super) async fn release_to_other_node(&self, id: &ByteString) {
        let Some(slot) = self.slot(id) else {
            return;
        };
        let mut held = slot.session.lock().await;
        self.release_session(id, &slot, held.take()).await;
    }

    async fn release_session(
        &self,
        id: &ByteString,
        slot: &Arc<SessionSlot>,
        session: Option<Box<Session>>,
    ) {
        slot.disconnect();
        if let Some(session) = session {
            session.detach(&self.context).await;
            let queue_logs = &self.context.broker.queue_logs;
            queue_logs.flush(id).await;
            queue_logs.release(id);
        }
        self.release(id, slot);
    }

    /// Another node says that it has a session: after two could not reach each other both may.
    pub(super) async fn resolve_conflict(&self, node: NodeId, id: &ByteString) {
        let Some(slot) = self.slot(id) else {
            return;
        };
        // Whoever is about to take it says so before this goes on.
        let mut held = slot.session.lock().await;
        if self.records.known_node(id) == Some(node) {
            self.release_session(id, &slot, held.take()).await;
        }
    }
}
