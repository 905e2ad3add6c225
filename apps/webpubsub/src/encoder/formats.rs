//! The wire formats of what is fanned out: one for each sort of sender, dialect and reliability.

use std::sync::Arc;

use polywire_core::{
    Kind, Payload, Publication, Target,
    delivery::{Encoder, Message},
};

use super::{
    message::{message, plain},
    sender::Sender,
};
use crate::{delivery_meta::DeliveryMeta, dialect::Dialect, names::HubName};

/// The wire formats of one sort of message.
pub(crate) struct Formats {
    json: [Arc<dyn Encoder>; 2],
    protobuf: [Arc<dyn Encoder>; 2],
    /// Clients that chose no subprotocol.
    pub(crate) simple: Arc<dyn Encoder>,
}

impl Formats {
    /// What is sent to a group.
    pub(crate) fn of_groups(hub: &HubName) -> Self {
        let group = |dialect, is_reliable| -> Arc<dyn Encoder> {
            Arc::new(Group {
                hub: hub.clone(),
                dialect,
                is_reliable,
            })
        };
        Self::of(group)
    }

    /// What the server sends.
    pub(crate) fn of_server() -> Self {
        let server = |dialect, is_reliable| -> Arc<dyn Encoder> {
            Arc::new(Server {
                dialect,
                is_reliable,
            })
        };
        Self::of(server)
    }

    fn of(make: impl Fn(Dialect, bool) -> Arc<dyn Encoder>) -> Self {
        let both = |dialect| [false, true].map(|is_reliable| make(dialect, is_reliable));
        Self {
            json: both(Dialect::Json),
            protobuf: both(Dialect::Protobuf),
            simple: Arc::new(Simple),
        }
    }

    /// The format of a subprotocol. That of a reliable one has room for the sequence id of each connection.
    pub(crate) fn spoken(&self, dialect: Dialect, is_reliable: bool) -> &Arc<dyn Encoder> {
        let both = match dialect {
            Dialect::Json => &self.json,
            Dialect::Protobuf => &self.protobuf,
        };
        &both[usize::from(is_reliable)]
    }
}

struct Group {
    hub: HubName,
    dialect: Dialect,
    is_reliable: bool,
}

impl Encoder for Group {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let (Target::Channel(channel), Kind::Message | Kind::Signal) =
            (&publication.target, &publication.kind)
        else {
            return None;
        };
        let group = self.hub.group(channel.as_str());
        // Applications take it for what the service has checked.
        let publisher = publication.proven_publisher();
        let publisher = publisher.map(|publisher| publisher.as_str());
        let from = Sender::Group {
            group: &group,
            publisher,
        };
        let is_protobuf = is_protobuf(publication);
        Some(message(
            self.dialect,
            self.is_reliable,
            from,
            &publication.payload,
            is_protobuf,
        ))
    }
}

struct Server {
    dialect: Dialect,
    is_reliable: bool,
}

impl Encoder for Server {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let payload = &publication.payload;
        Some(message(
            self.dialect,
            self.is_reliable,
            Sender::Server,
            payload,
            false,
        ))
    }
}

struct Simple;

impl Encoder for Simple {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        match publication.kind {
            Kind::Message | Kind::Signal => Some(plain(&publication.payload)),
            _ => None,
        }
    }
}

/// True for bytes that are a protobuf `Any`.
fn is_protobuf(publication: &Publication) -> bool {
    let meta = publication.properties.as_ref().and_then(DeliveryMeta::read);
    matches!(publication.payload, Payload::Binary(_)) && meta.is_some_and(|meta| meta.is_protobuf)
}
