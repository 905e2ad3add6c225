//! Restore: sessions that were written down are taken up again, by this node or another.
//!
//! What is written down is a [`Record`] and a queue log. In this order nothing is lost, and nothing comes twice:
//!
//! 1. Another node that has the session closes the client's connection there. A node whose store is its own has ended
//!    the session with that.
//! 2. The session subscribes here to what it was subscribed to, and holds back what is published from then on.
//! 3. The other node leaves the session, which ends its subscriptions there. Its record says now how far the client has
//!    come.
//! 4. The queue log is read: what waits, and when it was published. What was held back and is not among that follows.

use bytestring::ByteString;
use futures_util::future::try_join_all;
use polywire_core::RegistryError;

use super::{
    manager::SessionManager,
    node_messages::{NodeMessages, Step},
    slot::SessionSlot,
};
use crate::session::state::Session;

/// Sessions that are read at the same time.
const RESTORED_AT_ONCE: usize = 1000;

impl SessionManager {
    /// Lets sessions that were written down wait for their clients here.
    pub(super) async fn restore_all(&self, ids: &[ByteString]) -> Result<(), RegistryError> {
        for some in ids.chunks(RESTORED_AT_ONCE) {
            try_join_all(some.iter().map(|id| self.restore_away(id))).await?;
        }
        Ok(())
    }

    async fn restore_away(&self, id: &ByteString) -> Result<(), RegistryError> {
        let space = &self.context.broker.space;
        let slot = SessionSlot::away(space);
        // Its client may come meanwhile: it waits for this.
        let mut held = slot.session.lock().await;
        if !self.claim_if_free(id, &slot) {
            return Ok(());
        }
        let restored = self.restore(id, true).await;
        let Ok(Some(mut session)) = restored else {
            self.release(id, &slot);
            return restored.map(drop);
        };
        if let Some(absence) = session.absence {
            self.schedule(id, absence);
        }
        let remembered = if space.is_shared() {
            self.remember(&mut session).await
        } else {
            Ok(())
        };
        *held = Some(session);
        remembered
    }

    /// The session that was written down of a client, as one that is away. Where another node has it, it comes here.
    /// `goes_on`: the client asks for it.
    ///
    /// # Errors
    /// When it is not known whether there is one, or it cannot be read.
    pub(crate) async fn restore(
        &self,
        id: &ByteString,
        goes_on: bool,
    ) -> Result<Option<Box<Session>>, RegistryError> {
        let nodes = self.nodes.get().and_then(Option::as_ref);
        if let Some(nodes) = nodes
            && self.records.get(id).await?.is_none()
        {
            self.close_elsewhere(nodes, id, goes_on).await;
        }
        let Some(mut record) = self.records.get(id).await? else {
            return Ok(None);
        };
        let node = record.node();
        let queue_logs = &self.context.broker.queue_logs;
        let nodes = nodes.filter(|_| node != self.context.broker.space.hub().node());
        if let Some(nodes) = nodes {
            nodes.ask(node, id, Step::Close).await;
            // A node whose store is its own has ended it.
            let Some(written) = self.records.get(id).await? else {
                return Ok(None);
            };
            record = written;
            if !queue_logs.are_shared().await {
                // Its node is gone, and what waited with it.
                self.records.erase(id).await?;
                return Ok(None);
            }
        }
        let log = queue_logs.begin(id);
        let Some(mut session) = record.restore(id, log, &self.context).await else {
            return Ok(None);
        };
        if let Some(nodes) = nodes {
            nodes.ask(node, id, Step::Leave).await;
            record = self.records.get(id).await?.unwrap_or(record);
        }
        let stored = queue_logs.read(id).await?;
        record.complete(&mut session, stored, &self.context).await;
        Ok(Some(session))
    }

    /// Nothing is written down of a client: it may be connected to another node all the same.
    async fn close_elsewhere(&self, nodes: &NodeMessages<Self>, id: &ByteString, goes_on: bool) {
        if goes_on {
            // It may only just have come there.
            nodes.ask_all(id).await;
        } else {
            nodes.announce(id);
        }
    }
}
