//! Connection records: which connections there are on all nodes whose end the code behind a hub is to be told of.
//!
//! A node that is killed tells nobody; another one finds here what it had. A record is written when the connection opened and
//! with each change of its state, and erased when the code was told of its end. One that was erased by another node, which took
//! this one for gone, says that the code has been told. A single node keeps none.

use std::sync::Arc;

use polywire_core::{Counter, JsonText, LazyRegistry, NodeId, Registry, RegistryError, Space};
use serde::{Deserialize, Serialize};

use crate::{connection::Connection, event, names::NAME};

/// Bytes of the records of all nodes, on each of them.
const BYTES_MAX: usize = 64 << 20;

/// The records of connections, by their ids.
pub(crate) struct ConnectionRecords {
    /// `None` where there are no other nodes.
    registry: Option<LazyRegistry>,
    own: NodeId,
    /// Connections of whose end nobody else would tell.
    unwritten: Arc<Counter>,
}

/// What another node has to know of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConnectionRecord {
    node: u64,
    hub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subprotocol: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

impl ConnectionRecords {
    pub(crate) fn new(space: &Arc<Space>) -> Self {
        let registry = || {
            let name = "webpubsub/connections";
            Registry::lazy(space, name, BYTES_MAX, Box::new(|_, _| {}))
        };
        let counters = space.runtime().counters();
        Self {
            registry: space.is_shared().then(registry),
            own: space.hub().node(),
            unwritten: counters.of(NAME, "a connection was not recorded for other nodes"),
        }
    }

    /// Writes what a connection is now.
    pub(crate) async fn write(&self, connection: &Connection) {
        let Some(registry) = &self.registry else {
            return;
        };
        let described = connection.described();
        let record = ConnectionRecord {
            node: self.own.0,
            hub: described.hub,
            user: described.user,
            subprotocol: described.subprotocol,
            state: described.state,
        };
        let Ok(text) = JsonText::of(&record) else {
            return;
        };
        let written = async {
            let change = (connection.id.clone(), Some(text));
            registry.get().await?.change(vec![change]).await
        };
        match written.await {
            Ok(()) => connection.set_recorded(),
            Err::<_, RegistryError>(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "a connection was not recorded");
                self.unwritten.add();
            }
        }
    }

    /// True when another node took this one for gone, and has told of the end of this connection.
    pub(crate) fn is_told_elsewhere(&self, connection: &Connection) -> bool {
        let registry = self.registry.as_ref().and_then(LazyRegistry::opened);
        connection.is_recorded()
            && registry.is_some_and(|registry| registry.get(&connection.id).is_none())
    }

    /// The end of a connection was told.
    pub(crate) async fn erase(&self, id: &str) {
        let registry = self.registry.as_ref().and_then(LazyRegistry::opened);
        if let Some(registry) = registry.filter(|registry| registry.get(id).is_some()) {
            let erased = registry.change(vec![(id.to_owned(), None)]).await;
            if let Err(error) = erased {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the record of a connection stays");
            }
        }
    }

    /// All of them, by their connections' ids.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn all(&self) -> Result<Vec<(String, ConnectionRecord)>, RegistryError> {
        let Some(registry) = &self.registry else {
            return Ok(Vec::new());
        };
        let all = registry.get().await?.beginning_with("").into_iter();
        let read =
            |(id, text): (String, JsonText)| Some((id, serde_json::from_str(text.as_str()).ok()?));
        Ok(all.filter_map(read).collect())
    }
}

impl ConnectionRecord {
    pub(crate) fn node(&self) -> NodeId {
        NodeId(self.node)
    }

    pub(crate) fn hub(&self) -> &str {
        &self.hub
    }

    /// As the code behind the hub knows the connection.
    pub(crate) fn described(self, id: String) -> event::Connection {
        event::Connection::new(id, self.hub, self.user, self.subprotocol, self.state)
    }
}
