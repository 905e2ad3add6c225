//! Hubs: this node's end of each, where it gets what any node sends to connections that are not named by a group.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use polywire_core::{
    ConnectionId, Identity, Origin, Space, Target,
    delivery::{Fanout, Receiver},
    space::Attachment,
};
use tokio::sync::OnceCell;

use crate::{
    delivery_meta::DeliveryMeta,
    encoder::Formats,
    local_connections::LocalConnections,
    names::{HubName, NAME},
    recipients::Recipients,
};

/// This node's ends of all hubs that were used.
pub(crate) struct Hubs {
    space: Arc<Space>,
    connections: Arc<LocalConnections>,
    hubs: Mutex<HashMap<HubName, Arc<HubEnd>>>,
    server_formats: Arc<Formats>,
}

/// This node's end of a hub: it gets what is sent to its connections by any node.
struct HubEnd {
    hub: HubName,
    connection: ConnectionId,
    connections: Arc<LocalConnections>,
    formats: Arc<Formats>,
    server_formats: Arc<Formats>,
    /// Its place on the hub's control channel, once it was opened; `None` where there cannot be one.
    attachment: OnceCell<Option<Attachment>>,
}

impl Hubs {
    pub(crate) fn new(space: &Arc<Space>, connections: &Arc<LocalConnections>) -> Self {
        Self {
            space: space.clone(),
            connections: connections.clone(),
            hubs: Mutex::default(),
            server_formats: Arc::new(Formats::of_server()),
        }
    }

    /// From now on this node hears what is told about the connections of a hub. Whoever comes meanwhile waits until
    /// it does.
    pub(crate) async fn open(&self, hub: &HubName) {
        let end = self.end(hub);
        if end.attachment.initialized() {
            return;
        }
        let attach = || async {
            let control = end.hub.control()?;
            let origin = Origin::new(NAME, Identity::default());
            let mut attachment = self.space.attach(origin, end.clone());
            attachment.join(control).await;
            Some(attachment)
        };
        end.attachment.get_or_init(attach).await;
    }

    /// The wire formats of what is sent to the groups of a hub.
    pub(crate) fn formats(&self, hub: &HubName) -> Arc<Formats> {
        self.end(hub).formats.clone()
    }

    fn end(&self, hub: &HubName) -> Arc<HubEnd> {
        let mut hubs = self.hubs.lock();
        let end = hubs.entry(hub.clone()).or_insert_with(|| {
            Arc::new(HubEnd {
                hub: hub.clone(),
                connection: ConnectionId::next(self.space.hub().node()),
                connections: self.connections.clone(),
                formats: Arc::new(Formats::of_groups(hub)),
                server_formats: self.server_formats.clone(),
                attachment: OnceCell::new(),
            })
        });
        end.clone()
    }
}

impl Receiver for HubEnd {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn takes_presence(&self) -> bool {
        false
    }

    /// What servers say to connections, whoever they are.
    fn gap(&self, _: &Target) {
        for connection in self.connections.index.select(&self.hub, &Recipients::All) {
            connection.end_reliable("Messages were lost");
        }
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let meta = fanout.publication().properties.as_ref();
        let Some(meta) = meta.and_then(DeliveryMeta::read) else {
            return;
        };
        let Some(recipients) = &meta.recipients else {
            return;
        };
        for connection in self.connections.index.select(&self.hub, recipients) {
            if connection.is_among(&meta.audience) {
                connection.show(fanout, &self.server_formats);
            }
        }
    }
}
