//! What all connections of the app share.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::{Future, poll_fn},
    sync::{Arc, OnceLock},
    task::Poll,
    time::Duration,
};

use parking_lot::Mutex;
use polywire_core::{
    Channel, ConnectionId, Draft, Identity, Origin, Payload, Publication, Space,
    delivery::{Fanout, Receiver},
    space::{Attachment, Subscribed},
    transport::CloseReason,
};
use tokio::sync::Semaphore;

use crate::{
    connection::Connection,
    control::{Audience, Note, Whose},
    encoder::Formats,
    event::EventHandler,
    keys::Keys,
    names::HubName,
    nodes::Nodes,
    output::BufferLimits,
};

pub(crate) const NAME: &str = "webpubsub";

/// Notices that may wait for handlers.
const NOTICES_MAX: usize = 10_000;

/// What all connections of the app share.
pub(crate) struct State {
    pub(crate) space: Arc<Space>,
    pub(crate) keys: Keys,
    pub(crate) default_hub: String,
    pub(crate) handlers: BTreeMap<String, Arc<dyn EventHandler>>,
    pub(crate) buffer: BufferLimits,
    /// How long a connection waits for its client to come back.
    pub(crate) recovery: Duration,
    connections: Mutex<HashMap<String, Arc<Connection>>>,
    hubs: Mutex<HashMap<HubName, Arc<HubNode>>>,
    server_formats: Arc<Formats>,
    /// The other nodes.
    pub(crate) nodes: Arc<Nodes>,
    /// One permit for each notice that may wait for its handler.
    notices: Arc<Semaphore>,
    /// Hubs whose clients need no token, in lower case.
    anonymous: BTreeSet<String>,
}

/// What the code behind a hub is told, and does not answer.
#[derive(Debug)]
pub(crate) enum Notice {
    Connected,
    /// With the reason.
    Disconnected(String),
}

/// This node's end of a hub: it gets what is sent to its connections by any node.
struct HubNode {
    hub: HubName,
    connection: ConnectionId,
    state: std::sync::Weak<State>,
    formats: Arc<Formats>,
    attachment: tokio::sync::Mutex<Option<Attachment>>,
    joined: OnceLock<()>,
}

/// What makes the state.
pub(crate) struct NewState {
    pub(crate) space: Arc<Space>,
    pub(crate) keys: Keys,
    pub(crate) default_hub: String,
    pub(crate) handlers: BTreeMap<String, Arc<dyn EventHandler>>,
    pub(crate) buffer: BufferLimits,
    pub(crate) recovery: Duration,
    pub(crate) anonymous: BTreeSet<String>,
}

impl State {
    pub(crate) fn new(new: NewState) -> Arc<Self> {
        let state = Arc::new_cyclic(|state| Self {
            nodes: Nodes::new(&new.space, state.clone()),
            space: new.space,
            keys: new.keys,
            default_hub: new.default_hub,
            handlers: new.handlers,
            buffer: new.buffer,
            recovery: new.recovery,
            connections: Mutex::default(),
            hubs: Mutex::default(),
            server_formats: Arc::new(Formats::of_server()),
            notices: Arc::new(Semaphore::new(NOTICES_MAX)),
            anonymous: new.anonymous,
        });
        let nodes = state.nodes.clone();
        state.space.runtime().spawn(nodes.run());
        state
    }

    pub(crate) fn hub(&self, name: &str) -> Option<HubName> {
        HubName::new(name, &self.default_hub)
    }

    /// The code behind a hub; names of hubs are compared as the service does, without their case.
    pub(crate) fn handler(&self, hub: &HubName) -> Option<&Arc<dyn EventHandler>> {
        self.handlers.get(&hub.as_str().to_ascii_lowercase())
    }

    /// True when clients of a hub need no token.
    pub(crate) fn is_anonymous(&self, hub: &HubName) -> bool {
        let hub = hub.as_str().to_ascii_lowercase();
        self.anonymous.contains(&hub)
    }

    pub(crate) fn insert(&self, connection: &Arc<Connection>) {
        let mut connections = self.connections.lock();
        connections.insert(connection.id.clone(), connection.clone());
    }

    /// A connection of a hub on this node.
    pub(crate) fn find(&self, hub: &HubName, id: &str) -> Option<Arc<Connection>> {
        let connections = self.connections.lock();
        connections.get(id).filter(|c| c.hub == *hub).cloned()
    }

    /// Connections on this node, by id.
    pub(crate) fn those(&self, hub: &HubName, whose: &Whose) -> Vec<Arc<Connection>> {
        if let Whose::Connection(id) = whose {
            return self.find(hub, id).into_iter().collect();
        }
        let is_meant = |connection: &Arc<Connection>| match whose {
            Whose::All => true,
            Whose::User(user) => connection.user.as_ref() == Some(user),
            Whose::Group(group) => connection.groups.lock().contains(group),
            Whose::Connection(_) => false,
        };
        let connections = self.connections.lock();
        let mut those: Vec<_> = connections
            .values()
            .filter(|connection| connection.hub == *hub && is_meant(connection))
            .cloned()
            .collect();
        drop(connections);
        those.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        those
    }

    /// The formats of a hub; from now on this node hears what is told about its connections.
    pub(crate) async fn open_hub(self: &Arc<Self>, hub: &HubName) {
        let node = self.hub_node(hub);
        if node.joined.get().is_some() {
            return;
        }
        // Whoever comes meanwhile waits until it is open.
        let mut place = node.attachment.lock().await;
        if place.is_none()
            && let Some(control) = hub.control()
        {
            let origin = Origin::new(NAME, Identity::anybody());
            let mut attachment = self.space.attach(origin, node.clone());
            attachment.join(control).await;
            *place = Some(attachment);
        }
        let _ = node.joined.set(());
    }

    fn hub_node(self: &Arc<Self>, hub: &HubName) -> Arc<HubNode> {
        let mut hubs = self.hubs.lock();
        let node = hubs.entry(hub.clone()).or_insert_with(|| {
            Arc::new(HubNode {
                hub: hub.clone(),
                connection: ConnectionId::next(self.space.hub().node()),
                state: Arc::downgrade(self),
                formats: Arc::new(Formats::of_groups(hub)),
                attachment: tokio::sync::Mutex::new(None),
                joined: OnceLock::new(),
            })
        });
        node.clone()
    }

    pub(crate) fn formats(self: &Arc<Self>, hub: &HubName) -> Arc<Formats> {
        self.hub_node(hub).formats.clone()
    }

    /// Sends to connections on every node.
    pub(crate) async fn send(
        self: &Arc<Self>,
        hub: &HubName,
        whose: Whose,
        audience: Audience,
        payload: Payload,
        ttl: Option<Duration>,
    ) -> Result<(), String> {
        let mut draft = match &whose {
            Whose::Group(group) => {
                let channel = hub
                    .channel(group)
                    .ok_or("That is not the name of a group.")?;
                Draft::new(channel, payload)
            }
            _ => {
                self.open_hub(hub).await;
                let channel = hub.control().ok_or("That is not the name of a hub.")?;
                Draft::new(channel, payload)
            }
        };
        draft.retention.ttl = ttl;
        if let Whose::Group(_) = &whose {
            if !audience.is_everybody() {
                let note = Note {
                    audience,
                    ..Note::default()
                };
                draft.meta = note.write();
            }
            let origin = Origin::new(NAME, Identity::anybody());
            let sent = self.space.publish(&origin, draft).await;
            return sent.map(|_| ()).map_err(|refusal| refusal.message);
        }
        let note = Note {
            whose: Some(whose),
            audience,
            ..Note::default()
        };
        draft.meta = note.write();
        // Nobody asks for it later.
        draft.retention.store = false;
        let told = self.space.publish_reserved(draft).await;
        told.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Puts a connection into a group. False when the name cannot be one, or the connection has ended.
    pub(crate) async fn join(&self, connection: &Connection, group: &str) -> bool {
        let Some(channel) = connection.hub.channel(group) else {
            return false;
        };
        let mut attachment = connection.attachment.lock().await;
        let Some(attachment) = attachment.as_mut() else {
            return false;
        };
        attachment.join(channel).await;
        connection.groups.lock().insert(group.to_owned());
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
                connection.groups.lock().remove(group);
            }
        }
    }

    /// Subscribes as the client asked.
    pub(crate) async fn subscribe(
        &self,
        connection: &Connection,
        group: &str,
        channel: Channel,
    ) -> Result<(), polywire_core::Refusal> {
        let mut attachment = connection.attachment.lock().await;
        if let Some(attachment) = attachment.as_mut()
            && attachment.subscribe(channel).await? != Subscribed::Dropped
        {
            connection.groups.lock().insert(group.to_owned());
        }
        Ok(())
    }

    /// Ends a connection that the server closes.
    pub(crate) async fn close(self: &Arc<Self>, connection: &Arc<Connection>, reason: &str) {
        let code = CloseReason {
            code: 1000,
            reason: short(reason).to_owned().into(),
        };
        connection.end(Some(reason), &code);
        self.ended(connection, reason).await;
    }

    /// A connection has ended: it leaves everything, and the code behind its hub is told, once.
    pub(crate) async fn ended(&self, connection: &Arc<Connection>, reason: &str) {
        let removed = self.connections.lock().remove(&connection.id).is_some();
        if !removed {
            return;
        }
        let attachment = connection.attachment.lock().await.take();
        if let Some(attachment) = attachment {
            attachment.disconnect().await;
        }
        connection.groups.lock().clear();
        let notice = Notice::Disconnected(reason.to_owned());
        self.tell(connection, notice).await;
    }

    /// Tells the code behind a hub what happened, behind what it is being told already; does not wait until it
    /// knows.
    pub(crate) async fn tell(&self, connection: &Arc<Connection>, notice: Notice) {
        let Some(handler) = self.handler(&connection.hub).cloned() else {
            return;
        };
        let Ok(permit) = self.notices.clone().try_acquire_owned() else {
            let hub = connection.hub.as_str();
            return tracing::warn!(hub, ?notice, "left out: too many events wait for handlers");
        };
        let connection = connection.clone();
        let mut turn = Box::pin(connection.turn.clone().lock_owned());
        // Takes its place in the line now: tasks may begin in another order than they were spawned.
        let at_once = poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await;
        self.space.runtime().spawn(async move {
            let turn = match at_once {
                Poll::Ready(turn) => turn,
                Poll::Pending => turn.await,
            };
            let described = connection.described();
            match &notice {
                Notice::Connected => handler.connected(&described).await,
                Notice::Disconnected(reason) => handler.disconnected(&described, reason).await,
            }
            drop((turn, permit));
        });
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

impl Receiver for HubNode {
    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn client(&self) -> Option<polywire_core::ClientId> {
        None
    }

    fn deliver(&self, fanout: &mut Fanout<'_>) {
        let publication: &Publication = fanout.publication();
        let note = publication.meta.as_ref().and_then(Note::read);
        let (Some(note), Some(state)) = (note, self.state.upgrade()) else {
            return;
        };
        let Some(whose) = &note.whose else { return };
        for connection in state.those(&self.hub, whose) {
            if connection.is_among(&note.audience) {
                connection.show(fanout, &state.server_formats);
            }
        }
    }
}
