//! Local connections: how the connections of this node come, join and leave groups, and end.

use std::sync::Arc;

use polywire_core::{
    Channel, Origin, Refusal, Space,
    space::{Action, Subscribed},
    transport::CloseReason,
};

use crate::{
    connection::{Connection, Groups},
    connection_index::ConnectionIndex,
    connection_records::ConnectionRecords,
    event_handlers::EventHandlers,
    names::NAME,
    notices::{Notice, Notices},
};

/// The connections of this node, and whom to tell of them.
pub(crate) struct LocalConnections {
    pub(crate) index: ConnectionIndex,
    pub(crate) notices: Notices,
}

impl LocalConnections {
    pub(crate) fn new(
        space: &Arc<Space>,
        handlers: &Arc<EventHandlers>,
        records: &Arc<ConnectionRecords>,
    ) -> Arc<Self> {
        Arc::new(Self {
            index: ConnectionIndex::default(),
            notices: Notices::new(space, handlers, records),
        })
    }

    /// Puts a connection into a group. False when the name cannot be one, or the connection has ended.
    pub(crate) async fn join(&self, connection: &Arc<Connection>, group: &str) -> bool {
        let Some(channel) = connection.hub.channel(group) else {
            return false;
        };
        let mut attachment = connection.attachment.lock().await;
        let Some(attachment) = attachment.as_mut() else {
            return false;
        };
        // Who names it is a service, or a token that a service has made.
        let service = Origin::new(NAME, connection.hub.service()).peer(connection.origin.peer);
        let join = Action::Subscribe(&channel);
        if attachment.space().authorize(&service, join).is_err() {
            return false;
        }
        attachment.join(channel).await;
        self.index.join(connection, group);
        true
    }

    /// Takes a connection out of a group.
    pub(crate) async fn leave(&self, connection: &Connection, group: &str) {
        let channel: Option<Channel> = connection.hub.channel(group);
        let mut attachment = connection.attachment.lock().await;
        if let (Some(attachment), Some(channel)) = (attachment.as_mut(), channel) {
            // A dispatcher that refuses it keeps the connection there.
            let left = attachment.unsubscribe(channel).await;
            if left.is_ok() {
                self.index.leave(connection, group);
            }
        }
    }

    /// Subscribes as the client asked.
    pub(crate) async fn subscribe(
        &self,
        connection: &Arc<Connection>,
        group: &str,
        channel: Channel,
    ) -> Result<(), Refusal> {
        let mut attachment = connection.attachment.lock().await;
        if let Some(attachment) = attachment.as_mut()
            && attachment.subscribe(channel).await? != Subscribed::Dropped
        {
            self.index.join(connection, group);
        }
        Ok(())
    }

    /// Ends a connection that the server closes.
    pub(crate) async fn close(&self, connection: &Arc<Connection>, reason: &str) {
        let code = CloseReason {
            code: 1000,
            reason: short(reason).to_owned().into(),
        };
        connection.end(Some(reason), &code);
        self.ended(connection, reason).await;
    }

    /// A connection has ended: it leaves everything, and the code behind its hub is told, once.
    pub(crate) async fn ended(&self, connection: &Arc<Connection>, reason: &str) {
        if !self.index.remove(connection) {
            return;
        }
        self.left(connection).await;
        let notice = Notice::Disconnected(reason.to_owned());
        self.notices.tell(connection, notice).await;
    }

    /// A connection is not here any more: it leaves everything, and nobody is told of an end.
    pub(crate) async fn left(&self, connection: &Connection) {
        let attachment = connection.attachment.lock().await.take();
        if let Some(attachment) = attachment {
            attachment.disconnect().await;
        }
        connection.groups.lock().clear();
        connection.let_go();
    }
}

impl Groups for LocalConnections {
    fn joined(&self, connection: &Connection, group: &str) {
        self.index.join(connection, group);
    }

    fn left(&self, connection: &Connection, group: &str) {
        self.index.leave(connection, group);
    }
}

/// A close frame has room for 123 bytes.
fn short(reason: &str) -> &str {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
