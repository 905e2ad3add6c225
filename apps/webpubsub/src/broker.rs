//! Broker: what all connections and all requests of the app share.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use polywire_core::{
    Channel, Counter, Counters, Draft, Origin, Payload, Refusal, RefusalKind, Space, Throttled,
    Unanswered, delivery::DelayLine, http::Request, space::Action,
};

use crate::{
    connection::Connection,
    connection_records::ConnectionRecords,
    delivery_meta::DeliveryMeta,
    event::EventHandler,
    event_handlers::EventHandlers,
    hubs::Hubs,
    keys::Keys,
    local_connections::LocalConnections,
    lost_nodes::LostNodes,
    names::{BAD_GROUP, HubName, NAME},
    nodes::{Nodes, OperationHandler},
    operation::{Member, Operation, Outcome},
    recipients::{Audience, Recipients},
    replay_buffer::BufferLimits,
    transfer::{NewTransfers, Transfers},
};

/// What somebody is told whose address is throttled.
pub(crate) const THROTTLED: &str =
    "Too many wrong tokens came from this address. Try again in some seconds.";

/// What all connections and all requests of the app share.
pub(crate) struct Broker {
    pub(crate) space: Arc<Space>,
    pub(crate) keys: Keys,
    pub(crate) handlers: Arc<EventHandlers>,
    pub(crate) records: Arc<ConnectionRecords>,
    pub(crate) buffer: BufferLimits,
    pub(crate) local: Arc<LocalConnections>,
    pub(crate) hubs: Arc<Hubs>,
    /// By which connections change nodes.
    pub(crate) transfers: Arc<Transfers>,
    /// For clients that lose answers which come too fast.
    pub(crate) ack_delay: Arc<DelayLine>,
    pub(crate) unanswered: Unanswerable,
    default_hub: String,
    /// The other nodes.
    nodes: Arc<Nodes>,
    /// Hubs whose clients need no token, in lower case.
    anonymous: BTreeSet<String>,
}

/// How long an answer waits for a client that would lose it: the interpreter of that client gives way to another thread
/// every 5 ms.
const ACK_DELAY: Duration = Duration::from_millis(12);

/// What failed and was not answered, since the client asked for no answer.
pub(crate) struct Unanswerable {
    /// Events that nobody takes, or whose handler failed.
    pub(crate) events: Arc<Counter>,
    /// Frames that are not served.
    pub(crate) frames: Arc<Counter>,
}

impl Unanswerable {
    fn new(counters: &Counters) -> Self {
        Self {
            events: counters.of(NAME, "an event failed that wants no answer"),
            frames: counters.of(NAME, "refused a frame that wants no answer"),
        }
    }
}

/// What makes a broker.
pub(crate) struct NewBroker {
    pub(crate) space: Arc<Space>,
    pub(crate) keys: Keys,
    pub(crate) default_hub: String,
    pub(crate) handlers: BTreeMap<String, Arc<dyn EventHandler>>,
    pub(crate) buffer: BufferLimits,
    pub(crate) recovery: Duration,
    pub(crate) anonymous: BTreeSet<String>,
}

impl Broker {
    pub(crate) fn new(new: NewBroker) -> Arc<Self> {
        let space = new.space;
        let handlers = EventHandlers::new(new.handlers);
        let records = Arc::new(ConnectionRecords::new(&space));
        LostNodes::watch(&space, &handlers, &records);
        let local = LocalConnections::new(&space, &handlers, &records);
        let handler = OperationHandler {
            connections: local.clone(),
            default_hub: new.default_hub.clone(),
        };
        let nodes = Nodes::new(&space, handler);
        let runtime = space.runtime();
        let (hubs, ack_delay) = (
            Arc::new(Hubs::new(&space, &local)),
            runtime.delay_line(ACK_DELAY),
        );
        let transfers = Transfers::new(NewTransfers {
            space: space.clone(),
            local: local.clone(),
            hubs: hubs.clone(),
            handlers: handlers.clone(),
            records: records.clone(),
            ack_delay: ack_delay.clone(),
            buffer: new.buffer,
            recovery: new.recovery,
            default_hub: new.default_hub.clone(),
        });
        Arc::new(Self {
            ack_delay,
            unanswered: Unanswerable::new(runtime.counters()),
            hubs,
            transfers,
            space,
            keys: new.keys,
            handlers,
            records,
            buffer: new.buffer,
            local,
            default_hub: new.default_hub,
            nodes,
            anonymous: new.anonymous,
        })
    }

    pub(crate) fn hub(&self, name: &str) -> Option<HubName> {
        HubName::new(name, &self.default_hub)
    }

    /// The channel of a group; `None` for what cannot be the name of one.
    pub(crate) fn channel(&self, hub: &HubName, group: &str) -> Option<Channel> {
        let bytes_max = self.space.limits().name_bytes_max;
        hub.channel(group)
            .filter(|channel| channel.as_str().len() <= bytes_max)
    }

    /// True when clients of a hub need no token.
    pub(crate) fn is_anonymous(&self, hub: &HubName) -> bool {
        self.anonymous.contains(hub.as_str())
    }

    /// Counts a token that lets nobody in, where one was shown.
    pub(crate) fn count_wrong(
        &self,
        request: &Request,
        token: Option<&str>,
    ) -> Result<(), Throttled> {
        let runtime = self.space.runtime();
        let shown = token.filter(|token| !token.is_empty());
        shown.map_or(Ok(()), |token| {
            runtime.wrong_credential(NAME, request.peer, &token)
        })
    }

    /// A connection of a hub on this node.
    pub(crate) fn find(&self, hub: &HubName, id: &str) -> Option<Arc<Connection>> {
        self.local.index.find(hub, id)
    }

    /// Sends to connections on every node.
    pub(crate) async fn send(
        &self,
        hub: &HubName,
        recipients: Recipients,
        audience: Audience,
        payload: Payload,
        ttl: Option<Duration>,
    ) -> Result<(), Refusal> {
        let no_name = |message: &str| Refusal::new(RefusalKind::Invalid, message);
        let channel = match &recipients {
            Recipients::Group(group) => hub.channel(group).ok_or_else(|| no_name(BAD_GROUP))?,
            _ => {
                self.hubs.open(hub).await;
                let channel = hub.control();
                channel.ok_or_else(|| no_name("That is not the name of a hub."))?
            }
        };
        let mut draft = Draft::new(channel, payload);
        draft.retention.ttl = ttl;
        if let Recipients::Group(_) = &recipients {
            if !audience.is_everybody() {
                let meta = DeliveryMeta {
                    audience,
                    ..DeliveryMeta::default()
                };
                draft.properties = meta.write();
            }
            let origin = Origin::new(NAME, hub.service());
            let sent = self.space.publish(&origin, draft).await;
            return sent.map(|_| ());
        }
        let meta = DeliveryMeta {
            recipients: Some(recipients),
            audience,
            ..DeliveryMeta::default()
        };
        draft.properties = meta.write();
        // Nobody asks for it later.
        draft.retention.store = false;
        let told = self.space.publish_reserved(draft).await;
        told.map(|_| ())
            .map_err(|error| Refusal::new(RefusalKind::Unavailable, error.to_string()))
    }

    /// Whether the configuration lets a service, that asks from this address, put connections into a group.
    pub(crate) fn may_join(
        &self,
        hub: &HubName,
        channel: &Channel,
        peer: Option<SocketAddr>,
    ) -> Result<(), Refusal> {
        let service = Origin::new(NAME, hub.service()).peer(peer);
        let may = self.space.authorize(&service, Action::Subscribe(channel));
        may.map(|_| ())
    }

    /// Does an operation on every node.
    pub(crate) async fn everywhere(
        &self,
        hub: &HubName,
        operation: Operation,
    ) -> Result<Outcome, Unanswered> {
        let mut outcome = self.local.perform(hub, &operation).await;
        if operation.is_about_one() && outcome.found > 0 {
            return Ok(outcome);
        }
        let count_max = match &operation {
            Operation::List { count_max, .. } => *count_max,
            _ => 0,
        };
        outcome.add(self.nodes.ask(hub, operation).await?);
        let id = |member: &Member| member.connection_id.clone();
        outcome.members.sort_by_cached_key(id);
        outcome.members.truncate(count_max);
        Ok(outcome)
    }
}
